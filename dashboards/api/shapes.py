"""Shapes: what the API's answers look like, as its description tells it. What is sent is built directly, and held to it by tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voxledger.catalog.clip import Clip

if TYPE_CHECKING:
    from voxledger.synth.voices import Voice

State = Literal["local", "stored", "upload failed", "missing", "marked", "purging", "purged"]
"""Where a clip's audio is in its life."""
ID = "0199e2f4-2f65-7c1e-9d0a-5b7c8f3a91c2"
CLIP: Mapping[str, Any] = {
    "id": ID, "short": "8f3a91c2", "created": "2026-03-02T09:30:00.120000+00:00", "actor": "ann", "session": "trailer",
    "name": "opening line", "text": "The tide is turning.", "language": "en", "voice": "ann", "emotion": "happy", "engine": "indextts",
    "format": "wav", "content_type": "audio/wav", "sample_rate": 24_000, "duration": 1.52, "duration_us": 1_520_000, "bytes": 73_004,
    "sha256": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef", "loudness_lufs": -18.0, "true_peak_dbtp": -1.4,
    "silence_share": 0.08, "speech_rate": 14.2, "suspect": [], "rating": 4, "take": 1, "dropped": [], "tags": ["on-air"],
    "bucket": "voxledger-clips", "key": "2026/03/02/0199e2f4.wav", "state": "stored", "pinned": False, "pinned_until": None,
    "voice_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "reused": False,
}  # fmt: skip


class Shape(BaseModel):
    """A shape of an answer: all its keys are always there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class PlaceShape(Shape):
    """A part of a text: its first character, from 0, and how many it is long."""

    offset: int
    length: int


class Problem(BaseModel):
    """What went wrong. `code` is stable; `param` names what was wrong in the request, where one thing was."""

    message: str
    type: str
    param: str | None
    code: str
    remedy: str = Field(description="What to do.")
    place: PlaceShape | None = Field(None, description="Which part of an SQL query is wrong, when that is known.")


class Fault(Shape):
    """The answer to everything that cannot be done, in one shape that OpenAI's clients read as well."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": "there is no clip '8f3a91c2'", "type": "invalid_request_error", "param": None,
                        "code": "clip_not_found", "remedy": "Look the clip up: GET /api/clips.",
                    }
                }
            ]
        }
    )  # fmt: skip

    error: Problem


class ClipShape(Shape):
    """A clip. What was erased is null; times are ISO 8601 in UTC."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(CLIP)]})

    id: str = Field(description="Its id, a UUIDv7; its last 8 hex digits name it as well.")
    short: str
    created: datetime
    actor: str | None
    session: str | None
    name: str | None
    text: str | None
    language: str = Field(description="BCP 47 tag of what was spoken.")
    voice: str | None
    emotion: str
    engine: str
    format: str
    content_type: str
    sample_rate: int = Field(description="Hz.")
    duration: float = Field(description="Seconds.")
    duration_us: int
    bytes: int
    sha256: str = Field(description="Of the file; the ETag of its audio.")
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    silence_share: float | None
    speech_rate: float | None
    suspect: list[str]
    rating: int | None = Field(description="The newest one, 5 being the best.")
    take: int
    dropped: list[str]
    tags: list[str]
    bucket: str
    key: str | None
    state: State
    pinned: bool
    pinned_until: datetime | None
    voice_sha256: str | None
    reused: bool


class ClipPage(Shape):
    """A page of clips. `next` is the cursor of the page after it, null on the last one; `position` is the place in the log that the
    answer shows, null for who sees only the own clips.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"clips": [dict(CLIP)], "next": None, "position": 4711}]})

    clips: list[ClipShape]
    next: str | None
    position: int | None


class VoiceShape(Shape):
    """A registered recording. What was erased is null; so is `actor`, of others' voices, for who sees only the own clips."""

    sha256: str
    short: str
    name: str | None
    names: list[str]
    state: Literal["registered", "expired", "withdrawn", "erased"]
    registered: datetime
    actor: str | None
    withdrawn: datetime | None
    bytes: int | None
    duration_us: int | None
    speech_us: int | None
    sample_rate: int | None
    channels: int | None
    loudness_lufs: float | None
    consent: Literal["own", "document"] | None
    consent_sha256: str | None
    scope: str | None
    expires: datetime | None
    bucket: str | None
    key: str | None
    warnings: list[str]


def told(clip: Clip) -> dict[str, Any]:
    """A clip as the API tells it: where it lies on this machine is nobody's business elsewhere."""
    shown = clip.as_dict()
    del shown["path"]
    return {**shown, "text": clip.text, "content_type": clip.content_type, "duration_us": clip.duration_us}


def told_voice(voice: Voice, sees: str | None = None) -> dict[str, Any]:
    """A voice as the API tells it to whoever `sees` one actor's clips, None = everybody's: who registered others is not for them."""
    shown = voice.as_dict()
    del shown["path"], shown["consent_path"]
    if sees is not None and voice.actor != sees:
        shown["actor"] = None
    return {**shown, "short": voice.short}


_REASONS = {
    400: "It cannot be done as it was asked.",
    401: "Nobody known asks.",
    403: "The role does not permit it.",
    404: "There is no such thing, or not for this caller.",
    408: "The body came too slowly.",
    409: "Its present state does not permit it.",
    412: "A condition of the request does not hold.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
    416: "The range lies outside of it.",
    421: "The node is not reached under this name.",
    422: "The request has not the shape that is described here.",
    429: "Too many requests, or the quota is used up; Retry-After says when to come back.",
    500: "A defect of ours.",
    503: "Not now; Retry-After says when to come back.",
    507: "The disk of the node is full.",
}
_ALWAYS = (400, 401, 403, 422, 429, 503)
_FAULT = {"$ref": "#/components/schemas/Fault"}
"""`Fault`, which `description` puts there."""


def faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route may answer with, besides those that every route may."""
    return {status: fault(status) for status in sorted({*_ALWAYS, *statuses})}


def fault(status: int) -> dict[str, Any]:
    """One of them as it is described. Not as a model: FastAPI would prepare that anew for each status of each route."""
    return {"description": _REASONS[status], "content": {"application/json": {"schema": dict(_FAULT)}}}
