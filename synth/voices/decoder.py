"""Decodes one recording that nobody vouches for, and measures it. Runs as a program of its own, under limits.

    python -I -S decoder.py FOLDER PATHS

reads FOLDER/recording, and writes FOLDER/mono.f32 (mono float32 at the recording's own rate) and FOLDER/measured.json:
either what was measured or `{"refused": code, "detail": text}`. PATHS is a JSON list, the places of numpy and soundfile.
Imports nothing else beyond the standard library. A file that kills or stalls this program ends nothing but it.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3", "AIFF": "aiff"}
"""libsndfile's names of the containers that are read, with the file ending of each."""
MOST_CHANNELS = 2
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
LONGEST_S = 600
MOST_FRAMES = 30_000_000
"""Ten minutes at 48 kHz; of higher rates, less."""

_CPU_S = 60
_MEMORY = 1_500_000_000
_ANSWER = 4_000
_BLOCK = 48_000
_FULL_SCALE = 0.999
_SIZE_UNKNOWN = 0x7FFFF000
"""Sizes from here on stand in the header of a WAV that was written into a pipe: its length was not known."""
_MOST_CHUNKS = 10_000

_SLOW_RATE = 8_000
_FRAME_S, _HOP_S = 0.04, 0.02
_LOWEST_PITCH, _HIGHEST_PITCH = 70, 400
_VOICED = 0.5
"""A frame whose autocorrelation has a peak this high at a lag of human pitch counts as voiced."""
_FLOOR_DBFS = -55.0
_REACH = 8
"""Frames around a voiced one that may be the consonants of the same word (160 ms)."""
_STEADY_DB = 2.0
"""Voiced sound whose level varies less than this is a tone: syllables rise and fall."""


class Refused(Exception):
    """The recording cannot be taken; `code` is one of those that the parent has a sentence for."""

    def __init__(self, code: str, detail: object = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = str(detail)[:200]


def limit() -> None:
    """Bound this process for good: processor time, memory, size and number of files, no core dump; end with the parent."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    with contextlib.suppress(ImportError):
        import resource

        for what, most in (
            (resource.RLIMIT_CPU, _CPU_S),
            (resource.RLIMIT_AS, _MEMORY),
            (resource.RLIMIT_FSIZE, 4 * MOST_FRAMES + _ANSWER),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):  # a lower limit stands already
                resource.setrlimit(what, (most, most))


def confine(folder: Path, libraries: set[Path]) -> None:
    """Let this process open nothing from now on but files in the folder, and libraries to read; and no connection. Linux's
    Landlock, where the kernel has it: https://docs.kernel.org/userspace-api/landlock.html
    """
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes

        call = ctypes.CDLL(None).syscall
        call.restype = ctypes.c_long
        version = call(444, None, ctypes.c_size_t(0), ctypes.c_uint(1))  # landlock_create_ruleset, for its version
        if version < 1:
            return
        truncate = 1 << 14 if version >= 3 else 0
        files = 0x1FFF | (1 << 13 if version >= 2 else 0) | truncate
        connections = 3 if version >= 4 else 0
        asked = struct.pack("=QQ", files, connections)[: 16 if connections else 8]
        ruleset = call(444, asked, ctypes.c_size_t(len(asked)), ctypes.c_uint(0))
        read, write, look, make = 1 << 2, 1 << 1, 1 << 3, 1 << 8
        rules = {folder: read | write | make | truncate, **dict.fromkeys(libraries, read | look)}
        for path, rights in rules.items():
            place = os.open(path, getattr(os, "O_PATH", os.O_RDONLY))
            call(445, ctypes.c_int(ruleset), ctypes.c_int(1), struct.pack("=Qi", rights, place), ctypes.c_uint(0))
            os.close(place)
        call(446, ctypes.c_int(ruleset), ctypes.c_uint(0))  # landlock_restrict_self
        os.close(ruleset)


def measure(folder: Path) -> dict[str, Any]:
    """Decode FOLDER/recording block by block. Raises Refused."""
    import soundfile

    path = folder / "recording"
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise Refused("unreadable", error.error_string) from None
    with file:
        if file.format not in FORMATS:
            raise Refused("format", file.format)
        if not 1 <= file.channels <= MOST_CHANNELS:
            raise Refused("channels", file.channels)
        if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
            raise Refused("rate", file.samplerate)
        promised = file.frames if file.frames < 2**62 else None  # FLAC may leave it open
        if promised is not None:
            _bound(promised, file.samplerate)
        if is_cut_short(path):
            raise Refused("truncated")
        with (folder / "mono.f32").open("wb") as sink:
            found = _decoded(file, sink)
        exact = file.format in ("WAV", "WAVEX", "RF64", "FLAC", "AIFF")
        if promised and (found["frames"] < promised if exact else found["frames"] < 0.9 * promised):
            raise Refused("truncated")
        if not found["frames"]:
            raise Refused("empty")
        return {"extension": FORMATS[file.format], "rate": file.samplerate, "channels": file.channels, **found}


def _bound(frames: int, rate: int) -> None:
    if frames > LONGEST_S * rate:
        raise Refused("long", round(frames / rate))
    if frames > MOST_FRAMES:
        raise Refused("frames", frames)


def _decoded(file: Any, sink: BinaryIO) -> dict[str, Any]:
    import numpy as np
    import soundfile

    step = max(1, file.samplerate // _SLOW_RATE)
    slow: list[npt.NDArray[np.float32]] = []
    frames, clipped, peak, energy, apart = 0, 0, 0.0, 0.0, 0.0
    while True:
        try:
            block = file.read(_BLOCK - _BLOCK % step, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise Refused("truncated" if frames else "unreadable", error.error_string) from None
        if not len(block):
            break
        frames += len(block)
        _bound(frames, file.samplerate)
        if not np.isfinite(block).all():
            raise Refused("not_finite")
        size = np.abs(block)
        peak, clipped = max(peak, float(size.max())), clipped + int((size.max(axis=1) >= _FULL_SCALE).sum())
        mono = block.mean(axis=1, dtype=np.float32)
        energy, apart = (
            energy + float(mono.astype("f8") @ mono),
            apart + float((block.astype("f8") ** 2).mean(axis=1).sum()),
        )
        sink.write(mono.tobytes())
        whole = len(mono) // step * step
        slow.append(mono[:whole].reshape(-1, step).mean(axis=1))
    together = np.concatenate(slow) if slow else np.zeros(0, np.float32)
    return {
        "frames": frames,
        "peak_dbfs": _db(peak),
        "clipped": clipped,
        "cancels_db": max(0.0, 0.5 * (_db(apart) - _db(energy))),
        **speech(together, file.samplerate / step),
    }


def speech(samples: npt.NDArray[np.float32], rate: float) -> dict[str, Any]:
    """How much of a recording sounds like speech, how loud that is, and how loud the rest. A heuristic.

    Speech is what is loud for this recording and voiced, or within 160 ms of that: frames of 40 ms whose autocorrelation
    peaks at a lag of human pitch. Music with a melody passes for speech, a whisper does not.
    """
    import numpy as np

    size, hop = int(_FRAME_S * rate), int(_HOP_S * rate)
    if len(samples) < size:
        return {"speech_us": 0, "speech_dbfs": -200.0, "noise_dbfs": -200.0}
    frames = np.lib.stride_tricks.sliding_window_view(samples - samples.mean(), size)[::hop]
    levels, voiced = [], []
    for start in range(0, len(frames), 1000):
        some = frames[start : start + 1000].astype("f8")
        levels.append(10 * np.log10((some**2).mean(axis=1) + 1e-20))
        voiced.append(_is_voiced(some, rate))
    level, pitched = np.concatenate(levels), np.concatenate(voiced)
    quiet, loud = np.percentile(level, [10, 95])
    audible = level > max(_FLOOR_DBFS, min(quiet + 6.0, loud - 30.0))
    core = audible & pitched
    near = np.convolve(core, np.ones(2 * _REACH + 1), "same")[: len(core)] > 0 if core.any() else core
    spoken = near & audible
    low, high = np.percentile(level[core], [10, 90]) if core.any() else (0.0, 0.0)
    if high - low < _STEADY_DB:
        spoken = np.zeros_like(spoken)
    rest = level[~spoken]
    return {
        "speech_us": int(spoken.sum()) * round(1e6 * hop / rate),
        "speech_dbfs": _db(float(np.sqrt((10 ** (level[spoken] / 10)).mean()))) if spoken.any() else float(loud),
        "noise_dbfs": float(np.median(rest)) if len(rest) else float(quiet),
    }


def _is_voiced(frames: npt.NDArray[np.float64], rate: float) -> npt.NDArray[np.bool_]:
    import numpy as np

    size = frames.shape[1]
    window = np.hanning(size)
    # The difference takes away hum and rumble, which are correlated with themselves at any short lag.
    steep = np.diff(frames, axis=1, prepend=frames[:, :1]) * window
    correlation = np.fft.irfft(np.abs(np.fft.rfft(steep, 2 * size)) ** 2)[:, :size]
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[:size]
    first, last = int(rate / _HIGHEST_PITCH), min(int(rate / _LOWEST_PITCH) + 1, size // 2)
    lags = correlation[:, first - 1 : last] / (correlation[:, :1] + 1e-20) * (own[0] / own[first - 1 : last])
    best = lags.argmax(axis=1)
    inside = (best > 0) & (best < lags.shape[1] - 1)
    found: npt.NDArray[np.bool_] = inside & (lags.max(axis=1) >= _VOICED)
    return found


def is_cut_short(path: Path) -> bool:
    """Whether a WAV file ends before its header says; libsndfile reads such a file without a word."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return False
        whole = os.fstat(file.fileno()).st_size
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                return False
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                return bool(size < _SIZE_UNKNOWN and file.tell() + size > whole)
            file.seek(size + size % 2, os.SEEK_CUR)
    return False


def _db(value: float) -> float:
    import math

    return 20 * math.log10(value) if value > 1e-10 else -200.0


def main(folder: Path, paths: str) -> None:
    """Measure, and write down what came of it."""
    limit()
    sys.path.extend(json.loads(paths))
    import numpy
    import soundfile

    # All three load more of themselves when it is needed.
    confine(folder, {Path(numpy.__file__).parents[1], Path(soundfile.__file__).parent, Path(os.__file__).parent})
    try:
        found = measure(folder)
    except Refused as error:
        found = {"refused": error.code, "detail": error.detail}
    except MemoryError:
        found = {"refused": "memory", "detail": ""}
    (folder / "measured.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
