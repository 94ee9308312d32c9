"""Decoding seen from this side: a child process measures a recording, and nothing that happens to it happens here."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from voxledger.catalog.errors import VoxledgerError
from voxledger.synth.errors import RecordingRefused
from voxledger.synth.voices import decoder
from voxledger.synth.voices.checks import Measured

PROGRAM = Path(decoder.__file__)
DEADLINE_S = 90.0
"""Seconds by the clock after which the decoder is ended; ten minutes of sound take about three."""
_LONGEST_ANSWER = 4_000
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""All that the decoder sees of this process's environment: keys and tokens stay here."""
_CONVERT = "convert it first: ffmpeg -i IN -ac 1 OUT.wav"
_SENTENCES = {  # {} is what the decoder found; elsewhere that stands behind in brackets
    "unreadable": f"it is no recording that can be read; {_CONVERT}",
    "format": f"it is a kind of sound file that is not taken; {_CONVERT}",
    "channels": f"it has {{}} channels, more than {decoder.MOST_CHANNELS}; {_CONVERT}",
    "rate": (
        f"its sample rate, {{}} Hz, lies outside {decoder.LOWEST_RATE:,} to {decoder.HIGHEST_RATE:,} Hz;"
        " convert it first: ffmpeg -i IN -ar 24000 OUT.wav"
    ),
    "long": f"it lasts {{}} s, longer than {decoder.LONGEST_S // 60} minutes; cut it to the 15 s that speak best",
    "frames": f"it has {{}} samples a channel, more than {decoder.MOST_FRAMES:,}; cut it to the 15 s that speak best",
    "truncated": "it is damaged, or ends before it should; copy it again, or export it again",
    "not_finite": "it holds samples that are no numbers (NaN or infinite); export it again",
    "empty": "it holds no sound at all",
    "memory": f"decoding it takes more memory than a recording may; {_CONVERT}",
}


class _Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refused: str
    detail: str = ""


def measured(folder: Path, shown: Path) -> Measured:
    """Decode `folder`/recording in a child process; leaves `folder`/mono.f32. `shown` is how the user calls the file.

    Raises RecordingRefused for a recording that cannot be taken, VoxledgerError when the extra `synth` is missing.
    """
    for package in ("soundfile", "numpy"):
        if importlib.util.find_spec(package) is None:
            raise VoxledgerError(f"reading a recording needs the package {package!r}: pip install 'voxledger[synth]'")
    status = _run(folder)
    answer = _answer(folder / "measured.json") if status == 0 else None
    if isinstance(answer, Measured):
        return answer
    if answer is None:
        raise RecordingRefused(f"the recording {shown} cannot be taken: {_end(status)}; {_CONVERT}")
    sentence = _SENTENCES.get(answer.refused, _SENTENCES["unreadable"])
    detail = "".join(character for character in answer.detail if character.isprintable()).strip(" .")
    if "{}" in sentence:
        sentence = sentence.format(f"{int(detail):,}" if detail.isdecimal() else detail)
    elif detail:
        sentence += f" ({detail})"
    raise RecordingRefused(f"the recording {shown} cannot be taken: {sentence}")


def _run(folder: Path) -> int | None:
    """The decoder's exit status, None when its time was up. It never outlives this call."""
    if not sys.executable:
        raise VoxledgerError(
            "recordings are decoded in a Python process of its own, and sys.executable names no Python"
        )
    paths = json.dumps([path for path in sys.path if path])
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(PROGRAM), str(folder), paths],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        env={**environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        return process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _answer(path: Path) -> Measured | _Refusal | None:
    """What the decoder wrote; None for anything that it does not write."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_ANSWER)
        kind: type[Measured | _Refusal] = _Refusal if b'"refused"' in content else Measured
        return msgspec.json.decode(content, type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _end(status: int | None) -> str:
    if status is None:
        return f"decoding it did not end within {DEADLINE_S:g} s"
    if status == -getattr(signal, "SIGXCPU", 0):
        return "decoding it takes more processor time than a recording may"
    if status < 0:
        return f"the decoder died of it (signal {-status})"
    return "the decoder failed at it"
