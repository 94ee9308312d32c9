"""Voices: the registered recordings, with the consent they stand on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi import Path as InPath
from starlette.responses import Response

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.audio import Reader
from voxledger.dashboards.api.curating import Moment
from voxledger.dashboards.api.shapes import Shape, VoiceShape, faults, told_voice
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller, may
from voxledger.synth.errors import UnknownVoice

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.voices import Voice

Registrar = Annotated[Caller, Depends(may("voices"))]
Named = Annotated[
    str,
    InPath(
        alias="voice",
        min_length=1,
        max_length=200,
        description="Its name, or 8 digits or more of its SHA-256.",
        examples=["ann"],
    ),
]


class Voices(Shape):
    """Every recording that was ever registered, whatever became of it, in the order of registration."""

    voices: list[VoiceShape]


class UseShape(Shape):
    """How much was made with a recording."""

    clips: int
    duration_us: int


class VoiceUse(Shape):
    """A voice, and how much was made with it; null for who sees only the own clips, and when the catalog could not be asked."""

    voice: VoiceShape
    use: UseShape | None


class WithdrawnShape(VoiceUse):
    """A voice that was withdrawn. `others` had the same name once and may still be used."""

    others: list[VoiceShape]


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/voices`."""
    routes = APIRouter(tags=["voices"])

    @routes.get(
        "/api/voices",
        summary="All voices",
        response_model=Voices,
        responses={304: {"description": "The client has it."}, **faults()},
    )
    def list_voices(request: Request, caller: Reader) -> Response:
        """Withdrawn, expired and erased ones, too: `state` says so."""
        found = [told_voice(voice, caller.principal.sees) for voice in caller.ledger.voices.all()]
        return json({"voices": found}, request, caller)

    @routes.get(
        "/api/voices/{voice:path}",  # a name may hold a slash
        summary="A voice",
        response_model=VoiceUse,
        responses={304: {"description": "The client has it."}, **faults(404)},
    )
    def show_voice(request: Request, name: Named, caller: Reader) -> Response:
        """By its name or its SHA-256."""
        found = _voice(name, caller)
        use = caller.ledger.voices.use(found) if caller.principal.sees is None else None
        told = {
            "voice": told_voice(found, caller.principal.sees),
            "use": use and {"clips": use.clips, "duration_us": use.duration_us},
        }
        return json(told, request, caller)

    @routes.post(
        "/api/voices",
        summary="Register a voice",
        status_code=201,
        response_model=VoiceShape,
        responses=faults(409, 413, 507),
    )
    def add_voice(
        caller: Registrar,
        name: Annotated[str, Form(max_length=200, examples=["ann"])],
        recording: Annotated[UploadFile, File(description="Speech of one voice, as WAV, FLAC, MP3 or Ogg.")],
        own: Annotated[bool, Form(description="It is the voice of who registers it.")] = False,
        consent: Annotated[UploadFile | None, File(description="Else: the document.")] = None,
        scope: Annotated[str, Form(max_length=100, description="One word for what the consent covers.")] = "any",
        expires: Annotated[Moment | None, Form(description="When the consent ends by itself.")] = None,
        force: Annotated[bool, Form(description="Take what is a matter of judgement as warnings.")] = False,
    ) -> dict[str, Any]:
        """Either `own`, or `consent`, a document that is kept beside the recording. A name that is taken goes to the new recording; whoever
        sees only the own clips takes none of somebody else's voice, and registers none of their recordings anew.
        """
        with _received(recording, consent) as (sound, document):
            _require_nobody_elses(name, sound, caller)
            voice = caller.ledger.voices.add(
                name, sound, own=own, consent=document, scope=scope, expires=expires, force=force
            )
        return told_voice(voice)

    @routes.delete(
        "/api/voices/{voice:path}",  # a name may hold a slash
        summary="Withdraw the consent to a voice",
        response_model=WithdrawnShape,
        responses=faults(404, 409, 507),
    )
    def withdraw_voice(
        name: Named, caller: Registrar, reason: Annotated[str | None, Query(max_length=1000)] = None
    ) -> dict[str, Any]:
        """Nothing new is spoken with it from now on, under any of its names; what was made with it stays. Whoever sees
        only the own clips withdraws only what they registered.
        """
        found = _voice(name, caller)
        if not _is_theirs(found, caller):
            raise _anothers("withdraws")
        done = caller.ledger.voices.withdraw(found, reason=reason)
        use = done.use and {"clips": done.use.clips, "duration_us": done.use.duration_us}
        sees = caller.principal.sees
        others = [told_voice(voice, sees) for voice in done.others]
        return {"voice": told_voice(done.voice, sees), "use": use if sees is None else None, "others": others}

    return routes


def _voice(name: str, caller: Caller) -> Voice:
    """A voice by its name or hash, never by a file of this machine. Raises Refused (404)."""
    try:
        caller.ledger.voices.require_name(name)
        return caller.ledger.voices.show(name)
    except UnknownVoice as error:
        raise Refused(
            str(error), status=404, code=error.failure_class, remedy="GET /api/voices lists all.", param="voice"
        ) from None


def _is_theirs(voice: Voice, caller: Caller) -> bool:
    return caller.principal.sees in (None, voice.actor)


def _require_nobody_elses(name: str, sound: Path, caller: Caller) -> None:
    """Raises Refused (403) where a registration would change somebody else's voice, and the caller may change the own ones only."""
    if caller.principal.sees is None:
        return
    voices = caller.ledger.voices
    with suppress(UnknownVoice):
        voices.require_name(name)
        named = voices.show(name)
        if named.state in ("registered", "expired") and not _is_theirs(named, caller):
            raise _anothers("takes the name of")
    with suppress(UnknownVoice):
        same = voices.show(sound)  # whatever became of it: a withdrawal is not undone by others
        if same.state != "erased" and not _is_theirs(same, caller):
            raise _anothers("registers anew")


def _anothers(does: str) -> Refused:
    return Refused(
        f"whoever sees only the own clips {does} only voices that they registered themselves",
        status=403,
        code="scope",
        remedy="Ask whoever registered it, or an admin for a token with the scope `all`.",
        param="voice" if does == "withdraws" else "name",
    )


@contextmanager
def _received(recording: UploadFile, consent: UploadFile | None) -> Iterator[tuple[Path, Path | None]]:
    """What was sent as files of this machine, until the block ends. Errors name them as the client knows them."""
    with tempfile.TemporaryDirectory(prefix="voxledger-voice-") as folder:
        sound = _written(recording, Path(folder) / "recording")
        document = None if consent is None else _written(consent, Path(folder) / "consent")
        try:
            yield sound, document
        except VoxledgerError as error:
            error.args = (str(error).replace(f"{folder}/", "the "), *error.args[1:])
            raise


def _written(sent: UploadFile, path: Path) -> Path:
    path = path.with_suffix(_suffix(sent.filename))
    with path.open("xb") as file:
        shutil.copyfileobj(sent.file, file)
    return path


def _suffix(name: str | None) -> str:
    """The ending of a file's name, where it is one."""
    found = Path(name or "").suffix
    return found if found[1:].isalnum() and found.isascii() and len(found) <= 6 else ""
