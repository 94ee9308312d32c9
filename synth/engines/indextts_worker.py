"""IndexTTS-2.5 in a worker process, through the package `indextts25-inference` (https://pypi.org/project/indextts25-inference/).

Loaded by `worker_program` under any Python that has the package; imports nothing of Voxledger. Run as a program it
prints what is installed, as JSON, without importing any of it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import logging
import platform
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

SAMPLE_RATE = 22050
SEGMENT_TOKENS = 120
"""Longest stretch that the model speaks in one go; what is longer is divided by the package."""
SHORTEST_VOICE_S = 0.1
TRIES = 3
"""How often a part that comes out empty, or does not come to an end, is drawn again."""

FILES = ("gpt_checkpoint", "w2v_stat", "s2mel_checkpoint", "emo_matrix", "spk_matrix")
"""Names in `config.yaml` that stand for files of the folder."""


class Problem(Exception):
    """What went wrong, by kind: `voice`, `emotion_voice`, `silent`, `endless`, `memory`, `device`, `damaged`, `config`."""

    def __init__(self, message: str, kind: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.fatal = fatal


def versions() -> dict[str, Any]:
    """What is installed; a package that is not there has the version ""."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for key, name in (("package", "indextts25-inference"), ("torch", "torch")):
        try:
            found[key] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[key] = ""
    found["japanese"] = importlib.util.find_spec("fugashi") is not None
    found["flash"] = importlib.util.find_spec("flash_attn") is not None
    return found


def load(options: dict[str, Any]) -> Model:
    """Load the checkpoint. Options: `model_dir`, `device`, `threads`, `attention`, `fp16`."""
    import torch

    # Sums are formed in another order with another number of threads.
    torch.set_num_threads(options["threads"])
    torch.set_num_interop_threads(1)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # Some warn with the sentence they could not read.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore", FutureWarning)
    from indextts25 import IndexTTS25

    _hear_without_draws()
    folder = Path(options["model_dir"])
    try:
        with tempfile.TemporaryDirectory() as own:
            return Model(
                IndexTTS25(
                    folder,
                    config=_config(folder, Path(own)),
                    attn_backend=options["attention"],
                    fp16=options["fp16"],
                    device=options["device"],
                )
            )
    except Problem:
        raise
    except torch.OutOfMemoryError as error:
        raise Problem(f"the model does not fit into the memory of {options['device']}", "memory", fatal=True) from error
    except Exception as error:
        if damaged := _damaged(folder):
            raise Problem(
                f"damaged, or not what they should be: {', '.join(damaged)}", "damaged", fatal=True
            ) from error
        if type(error).__module__.partition(".")[0] in ("omegaconf", "yaml"):
            raise _misconfigured(error) from error
        raise Problem(f"{type(error).__name__}: {error}", "failed", fatal=True) from error


class Model:
    """A loaded checkpoint."""

    def __init__(self, tts: Any) -> None:
        self._tts = tts
        self._seen: set[tuple[str, int]] = set()

    def speak(self, asked: dict[str, Any], part: dict[str, Any]) -> tuple[Any, int]:
        """The samples (float32, mono) of one part, and their rate."""
        self._check(asked["voice"], "voice")
        if asked.get("emotion"):
            self._check(asked["emotion"], "emotion_voice")
        is_bounded = "max_mel_tokens" in asked["sampling"]
        samples, is_cut = None, False
        for again in range(TRIES):
            _seed(part["seed"] + again)
            samples, is_cut = self._once(asked, part["text"])
            if len(samples) and (is_bounded or not is_cut):
                return samples, SAMPLE_RATE
        if is_cut:
            raise Problem("the model does not come to an end with this sentence", "endless")
        raise Problem("the model says nothing for this sentence", "silent")

    def _once(self, asked: dict[str, Any], text: str) -> tuple[Any, bool]:
        import numpy as np
        import torch

        options = dict(asked["sampling"])
        if asked.get("vector"):
            options["emo_vector"] = asked["vector"]
        elif asked.get("emotion"):
            options |= {"emotion": asked["emotion"], "emotion_strength": asked["strength"]}
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", RuntimeWarning)
            try:
                chunks = list(
                    self._tts.stream(
                        text, asked["voice"], lang=asked["language"].upper(), speed=1 / asked["speed"],
                        segment_tokens=SEGMENT_TOKENS, include_silence=True, **options,
                    )
                )  # fmt: skip
            except torch.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                raise Problem("the device has no memory left for this sentence", "memory") from error
            except RuntimeError as error:
                if "CUDA" in str(error) or "cuDNN" in str(error):  # nothing works on this device after that
                    raise Problem(f"the device failed: {error}", "device", fatal=True) from error
                raise
        is_cut = any("max_mel_tokens" in str(each.message) for each in warned)
        if not any(len(chunk.audio) and not chunk.is_silence for chunk in chunks):
            return np.zeros(0, dtype=np.float32), is_cut
        samples = np.ascontiguousarray(np.concatenate([chunk.audio for chunk in chunks]), dtype=np.float32)
        if not np.isfinite(samples).all():
            raise Problem("the model gave numbers that are no sound", "silent")
        return samples, is_cut

    def _check(self, path: str, kind: str) -> None:
        """Refuse a recording here that would only raise something without a word in the middle of the package."""
        import soundfile

        known = (path, Path(path).stat().st_mtime_ns if Path(path).is_file() else 0)
        if known in self._seen:
            return
        try:
            found = soundfile.info(path)
        except (soundfile.SoundFileError, OSError) as error:
            raise Problem("the recording is not there, or is none that can be decoded", kind) from error
        if found.duration < SHORTEST_VOICE_S:
            raise Problem(f"the recording lasts {found.duration:.2f} s; {SHORTEST_VOICE_S} s is the least", kind)
        self._seen.add(known)


def _hear_without_draws() -> None:
    """Hearing a recording, which is done once, must not move the numbers that are drawn afterwards.

    Up to transformers 5.17 at least it draws one in each layer, for a dropout that is only there in training: what is
    spoken first with a recording would sound otherwise than the same spoken again.
    """
    import torch
    from transformers import Wav2Vec2BertModel

    hear = Wav2Vec2BertModel.forward

    @functools.wraps(hear)
    def forward(*arguments: Any, **options: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            return hear(*arguments, **options)

    Wav2Vec2BertModel.forward = forward  # in this process, which is the model's own


def _seed(seed: int) -> None:
    import numpy as np
    import torch

    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _config(folder: Path, own: Path) -> Path:
    """The configuration. A published revision names some files by absolute paths of its author's machine, which would
    win over the folder: then a copy that names them as they are called here.
    """
    from omegaconf import OmegaConf

    found = folder / "config.yaml"
    try:
        config: Any = OmegaConf.load(found)
        strange = {
            key: Path(str(config[key])).name for key in FILES if key in config and Path(str(config[key])).is_absolute()
        }
    except Exception as error:
        raise _misconfigured(error) from error
    if not strange:
        return found
    config.update(strange)
    OmegaConf.save(config, own / "config.yaml")
    return own / "config.yaml"


def _misconfigured(error: Exception) -> Problem:
    """YAML's own messages go over many lines: the place is what helps."""
    mark = getattr(error, "problem_mark", None)
    missing = getattr(error, "full_key", None)
    where = f", line {mark.line + 1}" if mark is not None else f": it has no {missing}" if missing else ""
    return Problem(f"config.yaml is not what it should be ({type(error).__name__}{where})", "config", fatal=True)


def _damaged(folder: Path) -> list[str]:
    """The files that cannot be read as what their names say."""
    import torch
    from safetensors import safe_open

    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.suffix in (".pth", ".pt", ".bin"):
                torch.load(path, map_location="cpu", weights_only=True)
            elif path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    file.keys()
            elif path.suffix == ".json":
                json.loads(path.read_text())
        except Exception:  # noqa: BLE001  # each loader has its own ways to fail
            found.append(str(path.relative_to(folder)))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(versions()) + "\n")
