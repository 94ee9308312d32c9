"""Batch: a manifest becomes clips, line by line; what is there already is not made again."""

from __future__ import annotations

import contextlib
import errno
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from voxledger.catalog import platform
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import DiskFull, HomeError
from voxledger.synth import manifest
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import EngineUnavailable, ManifestError, NotSupported, Stopped, SynthesisError
from voxledger.synth.manifest import Line, Wish
from voxledger.synth.studio import Studio

Outcome = Literal["made", "there", "failed"]
_ASKS = {"speaker_clip": "voice", "emotion_clip": "emotion_reference", "emotion_words": "emotion_words"}
"""What of a request meets a wish."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a manifest is read. `voices`: the folder of reference clips. `out`: a folder that gets a copy of each
    clip. Without `files` reference clips are names of registered voices, as whoever asks from elsewhere knows them.
    """

    voices: Path | None = None
    degrade: bool = False
    actor: str | None = None
    session: str | None = None
    format: str | None = None
    engine: str | None = None
    voice: str | None = None
    preset: str | None = None
    out: Path | None = None
    files: bool = True


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What became of a line: `made` now, `there` from an earlier run, or `failed` with the reason."""

    number: int
    outcome: Outcome
    clip: Clip | None = None
    error: str | None = None
    dropped: tuple[str, ...] = ()
    silence_after: float = 0.0


def run(studio: Studio, path: Path, options: Options) -> Iterator[Spoken]:
    """Speak a manifest, one result a line, in order and in flat memory, as many lines at once as the engine works on.

    Interrupted and called again it goes on where it stopped: a line whose clip is there already is not made twice, and
    not counted as another use. Raises ManifestError when the manifest cannot be read, and what concerns every line
    (no engine, no room on the disk).
    """
    info = studio.engine(options.engine).describe()
    stop = threading.Event()
    waiting: deque[Future[Spoken]] = deque()
    with ThreadPoolExecutor(info.concurrency, thread_name_prefix="voxledger-batch") as pool:
        try:
            outputs: dict[int, int] = {}
            for line in manifest.read(path):
                checked = _unlike_others(line, outputs) if options.out else line
                waiting.append(pool.submit(_spoken, studio, checked, info, path, options, stop))
                if len(waiting) > 2 * info.concurrency:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()


def _unlike_others(line: Line | ManifestError, outputs: dict[int, int]) -> Line | ManifestError:
    """The line, or an error when a line before it writes to the same file. `outputs`: hashes, with the lines' numbers."""
    if isinstance(line, ManifestError) or line.output is None:
        return line
    # Some file systems take capitals and small letters for the same.
    first = outputs.setdefault(hash(str(line.output).casefold()), line.number)
    if first == line.number:
        return line
    return ManifestError(f"output {line.output} is that of line {first} too; give each its own", line=line.number)


def _spoken(
    studio: Studio, line: Line | ManifestError, info: EngineInfo, path: Path, options: Options, stop: threading.Event
) -> Spoken:
    if isinstance(line, ManifestError):
        return Spoken(number=line.line or 0, outcome="failed", error=str(line))
    try:
        return speak(studio, line, info, path, options, stop)
    except (DiskFull, HomeError, EngineUnavailable, Stopped):
        raise
    except SynthesisError as error:
        return Spoken(number=line.number, outcome="failed", error=str(error))


def speak(studio: Studio, line: Line, info: EngineInfo, path: Path, options: Options, stop: threading.Event) -> Spoken:
    """Speak one line of the manifest at `path`, with the engine that `info` describes. Raises what `Studio.make` raises."""
    named = line.preset or options.preset
    preset = studio.presets.get(named) if named else None
    if preset and preset.engine and not options.engine:
        info = studio.engine(preset.engine).describe()
    met: dict[str, str] = {}
    lacks: list[tuple[str, str]] = []
    for wish in line.wishes:
        value, lack = _met(wish, info, path.parent, options, studio)
        if lack:
            lacks.append((wish.feature, lack))
        else:
            met[_ASKS[wish.feature]] = value
    if line.seed is not None and info.determinism == "none" and not info.heeds_seed:
        lacks.append(("seed", f"engine {info.name} takes no seed"))
    if lacks and not options.degrade:
        raise NotSupported(
            "; ".join(sentence for _, sentence in lacks) + " (--degrade speaks the line without)", feature=lacks[0][0]
        )
    dropped = tuple(feature for feature, _ in lacks)
    seed = None if "seed" in dropped else line.seed
    request, engine, *_ = studio.asked(
        line.text,
        {
            "actor": line.actor or options.actor,
            "voice": met.get("voice")
            or line.voice
            or (options.voice if not (line.preset and preset and preset.voice) else None),
            "emotion": line.emotion,
            "emotion_strength": line.strength,
            "emotion_reference": met.get("emotion_reference"),
            "emotion_words": met.get("emotion_words"),
            "language": line.language,
            "session": line.session or options.session or path.stem,
            "name": line.name,
            "tags": line.tags,
            "format": line.format or options.format or "wav",
            "seed": seed,
            "take": line.take,
            "speed": line.speed,
            "sampling": line.sampling,
            "marks": line.marks,
            "preset": named,
            "engine": options.engine,
        },
    )
    request = replace(request, dropped=dropped)
    there = studio.existing(request, engine=engine)
    clip = there or studio.make(request, engine=engine, channel="batch", stop=stop)
    if options.out:
        _copy(clip, options.out, line)
    outcome: Outcome = "there" if there or clip.reused else "made"
    return Spoken(number=line.number, outcome=outcome, clip=clip, dropped=dropped, silence_after=line.silence_after)


def _met(wish: Wish, info: EngineInfo, folder: Path, options: Options, studio: Studio) -> tuple[str, str]:
    """What the request asks for to meet a wish, or why it cannot be met, in a sentence."""
    if wish.feature == "emotion_words":
        if "words" in info.emotion_modes:
            return wish.value, ""
        return "", f"engine {info.name} has no model for an emotion in words"
    able = info.reference_voices if wish.feature == "speaker_clip" else "reference" in info.emotion_modes
    what = "speaker clip" if wish.feature == "speaker_clip" else "emotion clip"
    if not options.files:
        return _named(wish, what, studio) if able else ("", f"engine {info.name} cannot use {_a(what)}")
    voices = options.voices
    places = [place / name for place in (voices, folder) if place for name in (wish.value, Path(wish.value).name)]
    file = next((place for place in places if place.is_file()), None)
    reasons = []
    if file is None:
        where = f"not in {voices}" if voices else "not here (--voices FOLDER says where such clips are)"
        reasons.append(f"{what} {wish.value} is {where}")
    if not able:
        reasons.append(f"engine {info.name} cannot use {_a(what)}")
    if file is not None and able:
        try:
            studio.recording(file)
        except SynthesisError as error:
            reasons.append(str(error))
    return ("", " and ".join(reasons)) if reasons else (str(file), "")


def _named(wish: Wish, what: str, studio: Studio) -> tuple[str, str]:
    """A registered voice that meets a wish, or why there is none."""
    try:
        studio.recording(wish.value)
    except SynthesisError as error:
        return "", f"{what}: {error}"
    return wish.value, ""


def _a(what: str) -> str:
    return f"a{'n' if what[0] in 'aeiou' else ''} {what}"


def _copy(clip: Clip, folder: Path, line: Line) -> None:
    """A copy under the name that the manifest asks for, complete or not there."""
    relative = line.output or Path(f"{line.number:05d}-{clip.short}.{clip.format}")
    target = folder / relative
    # Two lines may ask for one name, at the same time.
    part = target.with_name(f".{target.name}.{line.number}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip.local(), part)
        with part.open("rb+") as file:
            platform.fsync_file(file)
        part.replace(target)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise ManifestError(
                f"output {relative} cannot be a file: {error.strerror}; the clip is recorded", line=line.number
            ) from error
        raise HomeError(
            f"the copy {target} could not be written: {error.strerror}; the clip itself is recorded"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
