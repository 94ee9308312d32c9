"""Pictures of clips: the outline of the waveform, the spectrogram, and where its segments lie."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import GenerationCompleted
from voxledger.dashboards.api import answering
from voxledger.dashboards.api.answering import matches, validators
from voxledger.dashboards.api.audio import Reader, Reference
from voxledger.dashboards.api.drawn import Decoding, Drawn
from voxledger.dashboards.api.listing import clips_with
from voxledger.dashboards.api.shapes import ID, Shape, faults
from voxledger.dashboards.faults import Refused
from voxledger.synth.errors import AudioFailed

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.audio.waveform import Peaks

MOST = 4000
"""Most parts of an outline."""
TOGETHER = 50
"""Most clips whose outlines are given together."""
STRETCH = 130.0
"""Seconds of a stretch that is read again for the sake of detail; of longer ones, the outline of the whole clip is given."""
_FINE = 4 * MOST
"""Parts of the outline that all others of a clip are made of."""
_WAVEFORMS, _SPECTROGRAMS, _STRETCHES = 1000, 50, 500
"""How many are kept: 32 MB of outlines at the most, 50 pictures of about 300 kB, and of each 500 stretches of at most 8 and 150 kB."""
_FROM_THE_FRONT = frozenset({"aac"})
"""Formats that are decoded from the beginning on, wherever a stretch lies."""
_SAME: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it."}}


_Start = Annotated[float | None, Query(ge=0, le=1e7, allow_inf_nan=False, description="Seconds from the beginning on.")]
_End = Annotated[float | None, Query(gt=0, le=1e7, allow_inf_nan=False, description="Seconds, by default to the end.")]


class Waveform(Shape):
    """The outline of a clip: lowest and highest sample of each part, full scale being ±127. Parts are about equally long."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"clip": ID, "duration": 1.52, "start": 0.0, "end": 1.52, "peaks": [[-3, 4], [-90, 88], [-12, 9]]}
            ]
        }
    )

    clip: str
    duration: float = Field(description="Seconds.")
    start: float = Field(description="Where the first part begins, in seconds.")
    end: float = Field(description="Where the last part ends.")
    peaks: list[Annotated[list[int], Field(min_length=2, max_length=2)]]


class Waveforms(Shape):
    """The outlines of those clips that could be drawn, in the order in which they were asked for."""

    waveforms: list[Waveform]


class Part(Shape):
    """A stretch of speech: where it is heard, and which characters of the text it says."""

    start: float = Field(description="Seconds.")
    end: float
    first: int = Field(description="Its first character in the text.")
    last: int = Field(description="The character after its last one.")
    text: str


class Passage(Shape):
    """A stretch under one emotion."""

    start: float
    end: float
    emotion: str
    strength: float


class Segments(Shape):
    """Where in a clip which part of its text is heard, and under which emotion; empty where that was not kept."""

    clip: str
    segments: list[Part]
    passages: list[Passage]


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/clips/{clip}/waveform`, `spectrogram.png` and `segments`, and `/api/waveforms`."""
    routes = APIRouter(tags=["clips"])
    decoding = Decoding()
    outlines: Drawn[Peaks] = Drawn(_WAVEFORMS, decoding)
    spectrograms: Drawn[bytes] = Drawn(_SPECTROGRAMS, decoding)
    finer: Drawn[Peaks] = Drawn(_STRETCHES, decoding)
    plain: Drawn[bytes] = Drawn(_STRETCHES, decoding)

    @routes.get(
        "/api/clips/{clip}/waveform",
        summary="The outline of a clip",
        response_model=Waveform,
        responses={**_SAME, **faults(404, 409, 507)},
    )
    def waveform(
        request: Request,
        reference: Reference,
        caller: Reader,
        points: Annotated[int, Query(ge=1, le=MOST)] = 800,
        start: _Start = None,
        end: _End = None,
    ) -> Response:
        """Of every format. Computed once, and no use of the clip. A short clip has fewer parts than were asked for. A stretch of two
        minutes or less is looked at anew, a longer one is as fine as the outline of the whole; `start` and `end` say what is shown.
        """
        clip = caller.clip(reference)
        _require_audio(clip)
        first, last = _stretch(clip, start, end)
        told = {"clip": clip.id, "duration": clip.duration}
        if _is_detail(clip, first, last):
            key = (clip.sha256, first, last, points)
            found = finer.get(key, lambda: _outline(clip, points, (first, last)))
            return answering.json({**told, "start": first, "end": last, "peaks": found.tolist()}, request, caller)
        fine = outlines.get(clip.sha256, lambda: _outline(clip, _FINE))
        return answering.json({**told, **_shown(fine, clip, first, last, points)}, request, caller)

    @routes.get(
        "/api/waveforms",
        summary="The outlines of several clips",
        response_model=Waveforms,
        responses={**_SAME, **faults()},
    )
    def waveforms(
        request: Request,
        caller: Reader,
        clip: Annotated[list[UUID], Query(min_length=1, max_length=TOGETHER, description="Whole ids.")],
        points: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> Response:
        """What a list of clips needs, for the price of one question to the catalog. Those that are not there, or cannot be drawn, are
        left out; `/api/clips/{clip}/waveform` says why.
        """
        with answering.asked(caller) as reading:
            clips = clips_with([str(identity) for identity in clip], reading, caller)
        told = []
        for each in clips:
            with suppress(VoxledgerError):
                _require_audio(each)
                fine = outlines.get(each.sha256, partial(_outline, each, _FINE))
                told.append(
                    {"clip": each.id, "duration": each.duration, **_shown(fine, each, 0.0, each.duration, points)}
                )
        return answering.json({"waveforms": told}, request, caller)

    @routes.get(
        "/api/clips/{clip}/spectrogram.png",
        summary="The spectrogram of a clip",
        response_class=Response,
        responses={
            200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
            **_SAME,
            **faults(404, 409, 507),
        },
    )
    def spectrogram(
        request: Request,
        reference: Reference,
        caller: Reader,
        axes: Annotated[bool, Query(description="Without axes, shades mean the same loudness in each picture.")] = True,
        start: _Start = None,
        end: _End = None,
    ) -> Response:
        """A PNG with axes in seconds and hertz, or without axes all of it or a stretch of two minutes or less. It is no use of the clip."""
        clip = caller.clip(reference)
        _require_audio(clip)
        first, last = _stretch(clip, start, end)
        whole = not _is_part(clip, first, last)
        if not whole and (axes or not _is_detail(clip, first, last)):
            raise _no_stretch(clip)
        etag = f'"{clip.sha256[:32]}-{"spectrogram" if axes else "plain" if whole else f"{first:g}-{last:g}"}"'
        if matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=validators(etag, None))
        if axes:
            picture = spectrograms.get(clip.sha256, lambda: _spectrogram(clip))
        else:
            picture = plain.get((clip.sha256, first, last), lambda: _plain(clip, None if whole else (first, last)))
        return Response(picture, media_type="image/png", headers=validators(etag, None))

    @routes.get(
        "/api/clips/{clip}/segments",
        summary="Where in a clip its text is heard",
        response_model=Segments,
        responses={**_SAME, **faults(404)},
    )
    def segments(request: Request, reference: Reference, caller: Reader) -> Response:
        """What subtitles are made of, with the emotions of marked texts."""
        clip = caller.clip(reference)
        return answering.json(_segments(clip, caller), request, caller)

    return routes


def _require_audio(clip: Clip) -> None:
    """What is kept must not outlive the audio."""
    if clip.state in ("purging", "purged"):
        clip.local()  # raises, and says why
        raise Refused("the audio was purged", status=409, code="store", remedy="Restore it.")


def _stretch(clip: Clip, start: float | None, end: float | None) -> tuple[float, float]:
    """What is asked for, within the clip. Raises Refused for what is none."""
    first, last = start or 0.0, min(clip.duration if end is None else end, clip.duration)
    if first >= last and clip.duration:
        raise Refused(
            "this is no stretch of the clip: it ends before it begins",
            status=400,
            code="stretch",
            remedy=f"Ask for one between 0 and {clip.duration:g} s.",
            param="start",
        )
    return first, last


def _shown(fine: Peaks, clip: Clip, first: float, last: float, points: int) -> dict[str, Any]:
    """A stretch of an outline, in as many parts as were asked for."""
    parts = len(fine) / clip.duration if clip.duration else 0.0
    begins, ends = math.floor(first * parts), math.ceil(last * parts)
    peaks = _coarser(fine[begins:ends], points)
    if not parts:
        return {"start": 0.0, "end": 0.0, "peaks": peaks}
    return {"start": begins / parts, "end": min(ends / parts, clip.duration), "peaks": peaks}


def _is_part(clip: Clip, first: float, last: float) -> bool:
    return first > 0 or last < clip.duration


def _is_detail(clip: Clip, first: float, last: float) -> bool:
    """Whether a stretch is worth being read again."""
    return _is_part(clip, first, last) and last - first <= STRETCH and clip.format not in _FROM_THE_FRONT


def _no_stretch(clip: Clip) -> Refused:
    short = f"Ask for a stretch of {STRETCH:g} s or less with axes=false"
    return Refused(
        "there is no such picture of a stretch",
        status=400,
        code="stretch",
        remedy="Ask for the whole." if clip.format in _FROM_THE_FRONT else f"{short}, or for the whole.",
        param="start",
    )


def _outline(clip: Clip, points: int, stretch: tuple[float, float] | None = None) -> Peaks:
    with _decoding():
        from voxledger.synth.audio import peaks_of_file

        return peaks_of_file(clip.local(), points, sample_rate=clip.sample_rate, stretch=stretch)


def _coarser(fine: Peaks, points: int) -> list[list[int]]:
    with _decoding():
        from voxledger.synth.audio import coarser

        found: list[list[int]] = coarser(fine, points).tolist()
    return found


def _spectrogram(clip: Clip) -> bytes:
    with _decoding():
        from voxledger.synth.audio import spectrogram_of_file

        return spectrogram_of_file(clip.local(), sample_rate=clip.sample_rate)


def _plain(clip: Clip, stretch: tuple[float, float] | None) -> bytes:
    with _decoding():
        from voxledger.synth.audio import plain_spectrogram_of_file

        return plain_spectrogram_of_file(clip.local(), sample_rate=clip.sample_rate, stretch=stretch)


@contextmanager
def _decoding() -> Iterator[None]:
    """A node without the extra `synth` serves what is there, and decodes nothing; what was adopted may be of any kind."""
    try:
        yield
    except AudioFailed as error:
        raise Refused(
            "the audio cannot be decoded",
            status=409,
            code="undecodable",
            remedy="Hear it in a player that knows its format.",
        ) from error
    except ModuleNotFoundError as error:
        raise Refused(
            f"decoding audio needs the package {error.name!r}, which this node lacks",
            status=503,
            code="synth_missing",
            remedy="Install voxledger[synth] on the node.",
        ) from error


def _segments(clip: Clip, caller: Caller) -> dict[str, Any]:
    return {"clip": clip.id, **heard(caller.ledger.catalog.record(clip))}


def heard(record: GenerationCompleted) -> dict[str, Any]:
    """Where in the audio which part of the text is heard, and under which emotion."""
    text = record.text or ""
    timing = json.loads(record.timing) if record.timing and text else []
    return {
        "segments": [
            {"start": begins / 1000, "end": ends / 1000, "first": start, "last": end, "text": text[start:end]}
            for start, end, begins, ends in timing
        ],
        "passages": [
            {"start": each.start_us / 1e6, "end": each.end_us / 1e6, "emotion": each.emotion, "strength": each.strength}
            for each in record.passages
        ],
    }
