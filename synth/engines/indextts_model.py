"""What IndexTTS-2.5 needs before it can speak: a Python with its package, and a folder with every file of the checkpoint."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.platform import write_atomic
from voxledger.synth.engines import indextts_worker
from voxledger.synth.errors import EngineUnavailable

MODEL = "indextts@2.5"
INSTALL = "pip install 'voxledger[indextts]'"
_PACKAGE = "indextts25-inference"
_PROBE_S = 60.0
_LONGEST_ANSWER = 1 << 16

_NEEDED = (
    "config.yaml", "codec.pth", "multilingual_zh_ja_yue_char_del.tiktoken", "hf_cache/w2v-bert-2.0/config.json",
    "hf_cache/w2v-bert-2.0/preprocessor_config.json", "hf_cache/w2v-bert-2.0/model.safetensors",
    "hf_cache/campplus_cn_common.bin", "hf_cache/bigvgan/config.json", "hf_cache/bigvgan/bigvgan_generator.pt",
)  # fmt: skip
_NAMED = {
    "gpt_checkpoint": "gpt.pth", "w2v_stat": "wav2vec2bert_stats.pt", "s2mel_checkpoint": "s2mel.pth",
    "emo_matrix": "feat2.pt", "spk_matrix": "feat1.pt",
}  # fmt: skip
_OPTIONAL = ("glossary.yaml",)
_NAME = re.compile(rf"""(?m)^["'\s]*({"|".join(_NAMED)})["']?\s*:\s*["']?([^"'#,\n]+)""")


@dataclass(frozen=True, kw_only=True)
class Installed:
    """The Python that speaks, and the versions it has."""

    python: str
    package: str
    torch: str
    japanese: bool
    flash: bool


_known: dict[tuple[str, int], Installed] = {}
"""Pythons with all that is needed, by path and time; "" is this one. What a package is added to keeps its time."""


def installed(python: str, limit_s: float = _PROBE_S) -> Installed:
    """What the configured interpreter has; "" = this one. Nothing of it is imported. Raises EngineUnavailable, after
    `limit_s` at the latest.
    """
    if sys.platform == "win32":
        raise _unavailable("the engine indextts runs on Linux and macOS", "Use Linux or macOS for this engine.")
    found = _other(python, min(limit_s, _PROBE_S)) if python else _own()
    lacking = [name for name, version in ((_PACKAGE, found.package), ("torch", found.torch)) if not version]
    if lacking:
        where = f"the Python {python}" if python else "this Python"
        how = (
            f"{python} -m pip install {_PACKAGE}" if python else f"{INSTALL}, or set indextts.python to one that has it"
        )
        raise _unavailable(f"{where} lacks the package {' and '.join(lacking)}: {how}", "Install the extra indextts.")
    return found


def _own() -> Installed:
    key = ("", 0)
    return _known.get(key) or _kept(key, _read(sys.executable, indextts_worker.versions()))


def _other(python: str, limit_s: float) -> Installed:
    try:
        key = (python, Path(python).stat().st_mtime_ns)
        if key in _known:
            return _known[key]
        said = _asked(python, limit_s)
    except OSError as error:
        raise _no_python(python, (error.strerror or str(error)).lower()) from error
    try:
        return _kept(key, _read(python, json.loads(said.splitlines()[-1])))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _no_python(python, "it answers as no Python does") from error


def _kept(key: tuple[str, int], found: Installed) -> Installed:
    if found.package and found.torch:
        _known[key] = found
    return found


def _asked(python: str, limit_s: float) -> bytes:
    """What the interpreter prints about itself. It is not trusted: it may print for ever, or never end."""
    deadline = time.monotonic() + limit_s
    process = subprocess.Popen(
        [python, str(Path(indextts_worker.__file__))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=environ(python), start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    try:
        while len(said) < _LONGEST_ANSWER:
            readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise _no_python(python, f"it does not answer within {limit_s:g} s")
            found = os.read(process.stdout.fileno(), 1 << 16)
            if not found:
                code = process.wait(timeout=max(0.1, deadline - time.monotonic()))
                if code:
                    raise _no_python(python, f"it ends with exit code {code}")
                break
            said += found
    except subprocess.TimeoutExpired as error:
        raise _no_python(python, f"it does not end within {limit_s:g} s") from error
    finally:
        process.stdout.close()
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
        process.wait()
    return said


def _no_python(python: str, why: str) -> EngineUnavailable:
    return _unavailable(
        f"indextts.python = {python!r} is no Python that can be run: {why}. Give the whole path of bin/python in a virtual"
        " environment that has the package",
        "Set indextts.python to a Python that has the package.",
    )


def _read(python: str, versions: Mapping[str, Any]) -> Installed:
    return Installed(
        python=python, package=versions["package"], torch=versions["torch"], japanese=bool(versions["japanese"]),
        flash=bool(versions["flash"]),
    )  # fmt: skip


def environ(python: str) -> dict[str, str]:
    """The environment of a worker: offline, and without what is meant for this Python when it is another one."""
    found = dict(os.environ)
    if python:
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
            found.pop(name, None)
    return found | {
        "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


class Folder:
    """The folder of a checkpoint. `remembered` is a file that keeps the hashes of what lies in there; `model` is the version
    that Voxledger keeps there, "" where the user does.
    """

    def __init__(self, path: Path, remembered: Path, model: str = "") -> None:
        self.path = path
        self.model = model
        self._remembered = remembered
        self._lock = threading.Lock()
        self._known: tuple[tuple[tuple[str, int, int], ...], str] | None = None

    def move(self, path: Path, model: str) -> None:
        """Another version, in a folder of its own."""
        with self._lock:
            self.path, self.model, self._known = path, model, None

    def revision(self) -> str:
        """A hash of all files, 12 hex digits: read once, then known by their sizes and times.

        Raises EngineUnavailable that names the files which are not there.
        """
        with self._lock:
            stamps = self._stamps()
            if self._known is None or self._known[0] != stamps:
                self._known = (stamps, self._hashed(stamps))
            return self._known[1]

    def _stamps(self) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of each file that the engine reads."""
        found, missing = [], []
        for name in (*_NEEDED, *self._named(), *_OPTIONAL):
            try:
                about = (self.path / name).stat()
            except OSError:
                about = None
            if about is not None and about.st_size:
                found.append((name, about.st_size, about.st_mtime_ns))
            elif name not in _OPTIONAL:
                missing.append(name)
        if missing:
            raise self._lacking(missing, is_empty=not found)
        return tuple(found)

    def _lacking(self, missing: list[str], *, is_empty: bool) -> EngineUnavailable:
        lacks = f"lacks {', '.join(missing)}"
        if self.model and is_empty:
            return _unavailable(
                f"the model {self.model} is not on this machine: `voxledger models pull {self.model}` gets it from your store,"
                " as does the first clip that is spoken",
                f"Pull the model {self.model}.",
            )
        if self.model:
            return _unavailable(
                f"the model {self.model} in {self.path} {lacks}. `voxledger models restore {self.model}` puts back what was"
                " lost; what was never in it is pushed as a version of its own",
                f"Restore the model {self.model}, or set indextts.model to a whole one.",
            )
        what = f"there is no checkpoint in {self.path}" if is_empty else f"the checkpoint in {self.path} {lacks}"
        return _unavailable(
            f"{what}. Copy the files of IndexTTS-2.5 into that folder (or set indextts.model_dir); where they were pushed to your"
            f" store, `voxledger models pull {MODEL}` gets them, and indextts.model = '{MODEL}' lets them speak",
            f"Set indextts.model to {MODEL} once it was pushed, or copy its files into indextts.model_dir.",
        )

    def _named(self) -> tuple[str, ...]:
        """The files that the configuration names; of an absolute path, which is its author's, the last part counts."""
        try:
            text = (self.path / "config.yaml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = ""
        names = _NAMED | {key: Path(value.strip()).name for key, value in _NAME.findall(text)}
        return tuple(names.values())

    def _hashed(self, stamps: tuple[tuple[str, int, int], ...]) -> str:
        with contextlib.suppress(OSError, ValueError):
            for line in json.loads(self._remembered.read_text()):
                if line["folder"] == str(self.path) and line["files"] == [list(stamp) for stamp in stamps]:
                    return str(line["revision"])
        with ThreadPoolExecutor(4) as pool:
            digests = list(pool.map(_sha256, [self.path / name for name, _, _ in stamps]))
        lines = [f"{digest}  {name}" for (name, _, _), digest in zip(stamps, digests, strict=True)]
        revision = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
        with contextlib.suppress(OSError):  # without it they are hashed again next time
            self._remembered.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            known = [{"folder": str(self.path), "files": [list(stamp) for stamp in stamps], "revision": revision}]
            write_atomic(self._remembered, json.dumps(known).encode())
        return revision


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise _unavailable(f"{path} cannot be read: {error.strerror}", "Let this user read the checkpoint.") from error


def devices(chosen: tuple[str, ...], torch: str) -> tuple[tuple[str, str], ...]:
    """The devices that speak, as torch calls them, each with the name it is recorded under. Torch is not imported.

    `auto` = every GPU that NVIDIA's driver shows to this process, else the CPU.
    """
    cards = _cards()
    if tuple(chosen) == ("auto",):
        usable = cards if not torch.endswith("+cpu") else {}
        chosen = tuple(usable) or (("mps",) if sys.platform == "darwin" and os.uname().machine == "arm64" else ("cpu",))
    return tuple((device, cards.get(device, device)) for device in chosen)


def _cards() -> dict[str, str]:
    """GPUs of this process by torch's name, with the model's."""
    shown = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = []
    for path in shown:
        with contextlib.suppress(OSError):
            found = re.search(r"(?m)^Model:\s*(.+?)\s*$", path.read_text())
            models.append(found[1] if found else "")
    models = models or ["" for _ in Path("/dev").glob("nvidia[0-9]*")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        chosen = [one.strip() for one in visible.split(",") if one.strip() and one.strip() != "-1"]
        by_number = [int(one) for one in chosen if one.isdigit() and int(one) < len(models)]
        models = [models[number] for number in by_number] if len(by_number) == len(chosen) else [""] * len(chosen)
    return {f"cuda:{number}": model or f"cuda:{number}" for number, model in enumerate(models)}


def _unavailable(message: str, remedy: str) -> EngineUnavailable:
    return EngineUnavailable(message, remedy=remedy)
