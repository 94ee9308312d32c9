"""The request: the fields of OpenAI's reference and ours, read strictly, and what they ask of the studio.

OpenAI's: https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.faults import Refused, meaning
from voxledger.synth import engines
from voxledger.synth import errors as synth
from voxledger.synth.hints import near
from voxledger.synth.studio import SpeakOptions, SpeakRequest
from voxledger.synth.studio.pieces import SHORT

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller
    from voxledger.synth.engines import EngineInfo
    from voxledger.synth.studio.turns import Priority

MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""OpenAI's names of models: here each means the engine of `synth.engine`."""
VOICES = frozenset({
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
})  # fmt: skip
"""OpenAI's own voices, which its clients must name one of: where none of that name is registered, the engine's usual one speaks."""
_DATED = re.compile(r"-20\d\d-\d\d-\d\d$")
_FIELD = re.compile(r"unknown field `(.*)`", re.DOTALL)
_PLACE = re.compile(r" - at `\$\.?([\w.\[\]…]*)`$")
_SHOWN = 40


class SpeechBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /v1/audio/speech` takes."""

    input: Annotated[str, Meta(description="The text; at most synth.max_text characters.", examples=["Good evening."])]
    model: Annotated[
        str | None, Meta(description="An engine of this node, or one of OpenAI's names, which mean the usual one.")
    ] = None
    voice: Annotated[
        str | dict[str, str] | None,
        Meta(description='A registered voice or one of the engine\'s, as its name or as {"id": name}.'),
    ] = None
    instructions: Annotated[
        str | None, Meta(description="The emotion in words; dropped, and said so, where the engine cannot.")
    ] = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = None
    speed: Annotated[float | None, Meta(description="A factor on the rate.")] = None
    stream_format: Annotated[
        Literal["audio", "sse"] | None,
        Meta(description="Given, also a short text is heard from its first segment on; sse: as events."),
    ] = None
    emotion: Annotated[
        str | dict[str, float] | list[float] | None,
        Meta(description="A name, weights such as {happy: 0.6}, or eight weights."),
    ] = None
    emotion_strength: Annotated[float, Meta(ge=0, le=1)] = 1.0
    emotion_reference: Annotated[str | None, Meta(description="A registered voice whose emotion is taken.")] = None
    language: Annotated[str | None, Meta(description="A BCP 47 tag; guessed when it is left out.")] = None
    session: str | None = None
    name: str | None = None
    tags: Annotated[list[str], Meta(max_length=100)] = []
    seed: int | None = None
    take: int = 1
    reuse: Annotated[bool, Meta(description="false: a clip of its own, whatever is there already.")] = True
    priority: Annotated[Literal["interactive", "batch"], Meta(description="batch: others go first for a while.")] = (
        "interactive"
    )
    marks: Annotated[bool, Meta(description="Whether marks such as [sad] in the text are heeded.")] = True
    preset: str | None = None
    sampling: Annotated[dict[str, float] | None, Meta(description="What the engine takes besides.")] = None
    actor: Annotated[str | None, Meta(description="In whose name; only an admin speaks in others'.")] = None

    @property
    def format(self) -> str:
        """The format asked for."""
        return self.response_format or "mp3"

    @property
    def voice_name(self) -> str | None:
        """The voice by its name; None where the engine's usual one will do. Raises Refused."""
        given = self.voice
        if isinstance(given, Mapping):
            if set(given) != {"id"}:
                raise _refused('voice must be a name, or {"id": name}', "voice")
            given = given["id"]
        return None if given in (None, "", "default") else given


_decode = msgspec.json.Decoder(SpeechBody).decode
_encode = msgspec.json.Encoder(order="sorted").encode


def read(body: bytes) -> SpeechBody:
    """The body of a request. Raises Refused, which never quotes a value."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(f"the body is no JSON: {error}", None) from None


def canonical(body: SpeechBody) -> bytes:
    """The same bytes for the same request, however it was written."""
    return _encode(body)


def schema() -> dict[str, Any]:
    """The body as JSON schema, for the description of the API."""
    _, found = msgspec.json.schema_components([SpeechBody], ref_template="{name}")
    return dict(found["SpeechBody"])


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the studio is asked for."""

    request: SpeakRequest
    engine: str | None
    reuse: bool
    priority: Priority
    streamed: bool
    """Whether it is heard before it is finished."""


def wanted(body: SpeechBody, caller: Caller) -> Wanted:
    """What a body asks of the studio, in the caller's name; an engine may have to be loaded for it.

    Raises Refused, and what `Studio.asked` raises.
    """
    studio = caller.ledger.studio
    asked = studio.asked(body.input, _options(body, caller))
    request = asked.request
    if request.voice is not None or request.emotion_words is not None:
        with suppress(synth.EngineUnavailable):  # which the studio finds, too, and records
            request = _speakable(request, studio.engine(asked.engine).describe(), caller)
    return Wanted(
        request=request,
        engine=asked.engine,
        reuse=body.reuse,
        priority=body.priority,
        # What is spoken in one turn is there almost as soon as its beginning is, and at its final level.
        streamed=body.stream_format is not None or len(request.text) > SHORT or request.marks,
    )


def told(error: VoxledgerError) -> Refused:
    """An error as clients of this route are told it: with the field that it is about."""
    refused = meaning(error)
    if refused.param is None:
        refused.param = next((field for kind, field in _ABOUT if isinstance(error, kind)), None)
    return refused


_ABOUT: tuple[tuple[type[VoxledgerError], str], ...] = (
    (synth.InvalidText, "input"),
    (synth.UnknownVoice, "voice"),
    (synth.ConsentEnded, "voice"),
    (synth.UnknownEngine, "model"),
    (synth.UnsupportedFormat, "response_format"),
    (synth.UnsupportedLanguage, "language"),
    (synth.InvalidEmotion, "emotion"),
    (synth.UnknownPreset, "preset"),
)


def _options(body: SpeechBody, caller: Caller) -> SpeakOptions:
    voice = body.voice_name
    for name in (voice, body.emotion_reference):
        if name is not None:
            caller.ledger.voices.require_name(name)
    return SpeakOptions(
        voice=voice,
        emotion=body.emotion,
        emotion_strength=body.emotion_strength,
        emotion_reference=body.emotion_reference,
        emotion_words=body.instructions or None,
        language=body.language,
        actor=_actor(body, caller),
        session=body.session,
        name=body.name,
        tags=body.tags,
        format=body.format,
        seed=body.seed,
        take=body.take,
        speed=None if body.speed == 1 else body.speed,
        sampling=body.sampling,
        marks=body.marks,
        preset=body.preset,
        engine=engine_of(body.model),
    )


def engine_of(model: str | None) -> str | None:
    """The engine that a model's name means; None for the usual one. Raises Refused (404)."""
    if not model or model == "default":
        return None
    installed = _installed()
    if model in installed:
        return model
    if _DATED.sub("", model) in MODELS:
        return None
    raise Refused(
        f"there is no model {model[:_SHOWN]!r} here; {near(model[:_SHOWN], (*installed, *MODELS))}",
        status=404,
        code=synth.UnknownEngine.failure_class,
        remedy="GET /v1/models lists those there are.",
        param="model",
    )


@cache
def _installed() -> tuple[str, ...]:
    """Names of engines; asking Python for its entry points takes milliseconds, and nobody installs one under a running node."""
    return engines.names()


def _actor(body: SpeechBody, caller: Caller) -> str:
    if body.actor is not None and body.actor != caller.principal.name and not caller.principal.may("admin"):
        raise Refused(
            "only an admin speaks in the name of others",
            status=403,
            code="role",
            remedy="Leave `actor` out; the clip is recorded under the name of your token.",
            param="actor",
        )
    return body.actor or caller.principal.name


def _speakable(request: SpeakRequest, info: EngineInfo, caller: Caller) -> SpeakRequest:
    """The request without what OpenAI's clients must or may send and this engine has no use for; the clip says so."""
    dropped = list(request.dropped)
    if request.emotion_words is not None and "words" not in info.emotion_modes:
        dropped.append("emotion_words")
        request = replace(request, emotion_words=None)
    voice = request.voice
    if voice in VOICES and voice not in info.voices and (info.voices or info.reference_voices):
        try:
            caller.ledger.voices.resolve(voice)
        except synth.UnknownVoice:
            dropped.append("voice")
            request = replace(request, voice=None)
    return replace(request, dropped=tuple(sorted(dropped))) if dropped else request


def _invalid(message: str) -> Refused:
    """What msgspec says; it quotes the names of fields, and values only where it knows all that may stand there."""
    unknown = _FIELD.search(message)
    if unknown:
        field = unknown[1][:_SHOWN]
        return Refused(
            f"there is no field {field!r} here; {near(field, SpeechBody.__struct_fields__)}",
            status=400,
            code="unknown_parameter",
            remedy="Leave it out; /api/openapi.json lists the fields there are.",
            param=field,
        )
    missing = re.search(r"missing required field `(\w+)`", message)
    place = _PLACE.search(message)
    field = missing[1] if missing else place[1] if place else ""
    what = _PLACE.sub("", message)
    if what.startswith("Invalid enum value"):
        what = "it must be one of those that the API's description lists"
    return _refused(f"{field or 'the body'}: {what}", field or None)


def _refused(message: str, param: str | None) -> Refused:
    return Refused(
        message,
        status=400,
        code="invalid_request",
        remedy="See /api/openapi.json for what is expected.",
        param=param,
    )
