"""Batch: a manifest becomes clips, line by line; what is there already is not made again."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voxledger.catalog import platform
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import DiskFull, HomeError
from voxledger.synth import manifest
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import EngineUnavailable, ManifestError, NotSupported, SynthesisError
from voxledger.synth.manifest import Line, Wish
from voxledger.synth.request import SpeakRequest
from voxledger.synth.studio import Studio

Outcome = Literal["made", "there", "failed"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a manifest is read. `voices`: the folder of reference clips. `out`: a folder that gets a copy of each
    clip.
    """

    voices: Path | None = None
    degrade: bool = False
    actor: str | None = None
    session: str | None = None
    format: str | None = None
    engine: str | None = None
    out: Path | None = None


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
    """Speak a manifest, one result a line, in order and in flat memory.

    Interrupted and called again it goes on where it stopped: a line whose clip is there already is not made twice, and
    not counted as another use. Raises ManifestError when the manifest cannot be read, and what concerns every line
    (no engine, no room on the disk).
    """
    info = studio.engine(options.engine).describe()
    for line in manifest.read(path):
        if isinstance(line, ManifestError):
            yield Spoken(number=line.line or 0, outcome="failed", error=str(line))
            continue
        try:
            yield _speak(studio, line, info, path, options)
        except (DiskFull, HomeError, EngineUnavailable):
            raise
        except SynthesisError as error:
            yield Spoken(number=line.number, outcome="failed", error=str(error))


def _speak(studio: Studio, line: Line, info: EngineInfo, path: Path, options: Options) -> Spoken:
    lacks = [lack for wish in line.wishes if (lack := _lack(wish, info, path.parent, options.voices))]
    if lacks and not options.degrade:
        raise NotSupported(
            "; ".join(sentence for _, sentence in lacks) + " (--degrade speaks the line without)", feature=lacks[0][0]
        )
    dropped = tuple(feature for feature, _ in lacks)
    request = SpeakRequest.of(
        line.text,
        settings=studio.settings,
        actor=line.actor or options.actor or studio.default_actor,
        voice=line.voice,
        emotion=line.emotion,
        language=line.language,
        session=line.session or options.session or path.stem,
        name=line.name,
        tags=line.tags,
        format=line.format or options.format or "wav",
        seed=line.seed,
        take=line.take,
        dropped=dropped,
    )
    there = studio.existing(request, engine=options.engine)
    clip = there or studio.make(request, engine=options.engine, channel="batch")
    if options.out:
        _copy(clip, options.out, line)
    outcome: Outcome = "there" if there or clip.reused else "made"
    return Spoken(number=line.number, outcome=outcome, clip=clip, dropped=dropped, silence_after=line.silence_after)


def _lack(wish: Wish, info: EngineInfo, folder: Path, voices: Path | None) -> tuple[str, str] | None:
    """Why a wish cannot be met: the feature and a sentence; None when it can."""
    if wish.feature == "emotion_words":
        if "words" in info.emotion_modes:
            return None
        return wish.feature, f"engine {info.name} has no model for an emotion in words"
    able = info.reference_voices if wish.feature == "speaker_clip" else "reference" in info.emotion_modes
    what = "speaker clip" if wish.feature == "speaker_clip" else "emotion clip"
    places = [place / name for place in (voices, folder) if place for name in (wish.value, Path(wish.value).name)]
    there = any(place.is_file() for place in places)
    if able and there:
        return None
    reasons = []
    if not there:
        where = f"not in {voices}" if voices else "not here (--voices FOLDER says where such clips are)"
        reasons.append(f"{what} {wish.value} is {where}")
    if not able:
        reasons.append(f"engine {info.name} cannot use a{'n' if what[0] in 'aeiou' else ''} {what}")
    return wish.feature, " and ".join(reasons)


def _copy(clip: Clip, folder: Path, line: Line) -> None:
    """A copy under the name that the manifest asks for, complete or not there."""
    relative = line.output or Path(f"{line.number:05d}-{clip.short}.{clip.format}")
    target = folder / relative
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
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
