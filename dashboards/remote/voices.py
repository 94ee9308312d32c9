"""The voices of a node."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from voxledger.dashboards.remote.connection import Connection
from voxledger.synth.errors import RecordingRefused

if TYPE_CHECKING:
    from voxledger.synth.voices import Voice
    from voxledger.synth.voices.records import Use, Withdrawn

_VOICES = "/api/voices"


class RemoteVoices:
    """Registered voices of a node, with the methods of `Voices`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        name: str,
        recording: str | Path,
        *,
        own: bool = False,
        consent: str | Path | None = None,
        scope: str = "any",
        expires: datetime | None = None,
        force: bool = False,
    ) -> Voice:
        """Send a recording to the node and register it there, with the consent it stands on. Raises RecordingRefused."""
        form = {"name": name, "own": str(own).lower(), "scope": scope, "force": str(force).lower()}
        if expires is not None:
            form["expires"] = expires.isoformat()
        with ExitStack() as opened:
            sent: dict[str, Any] = {each: (None, value) for each, value in form.items()}
            for what, path in {"recording": recording, "consent": consent}.items():
                if path is not None:
                    sent[what] = (Path(path).name, opened.enter_context(_opened(Path(path))))
            answer = opened.enter_context(self._connection.answer("POST", _VOICES, files=sent))
            return _voice(msgspec.json.decode(answer.content))

    def all(self) -> list[Voice]:
        """Every recording that was ever registered there, in the order of registration."""
        return [_voice(told) for told in self._connection.get(_VOICES)["voices"]]

    def show(self, voice: str | Voice) -> Voice:
        """Everything about one, also when it may not be used any more. Raises UnknownVoice."""
        return _voice(self._connection.get(_path(voice))["voice"])

    def use(self, voice: Voice) -> Use | None:
        """How much was made with a recording; None for who sees only the own clips."""
        from voxledger.synth.voices.records import Use

        return msgspec.convert(self._connection.get(_path(voice))["use"], Use | None)

    def withdraw(self, voice: str | Voice, *, reason: str | None = None) -> Withdrawn:
        """End the consent to a recording, under all its names. Raises UnknownVoice, ConsentEnded."""
        from voxledger.synth.voices.records import Use, Withdrawn

        told = self._connection.send("DELETE", _path(voice), params={"reason": reason})
        others = tuple(_voice(each) for each in told["others"])
        return Withdrawn(voice=_voice(told["voice"]), use=msgspec.convert(told["use"], Use | None), others=others)


def _opened(path: Path) -> Any:
    try:
        return path.expanduser().open("rb")
    except OSError as error:
        raise RecordingRefused(f"{path} cannot be read: {error.strerror}") from error


def _path(voice: str | Voice) -> str:
    return f"{_VOICES}/{quote(voice if isinstance(voice, str) else voice.sha256, safe='')}"


def _voice(told: Any) -> Voice:
    from voxledger.synth.voices import Voice

    return msgspec.convert(told, Voice, strict=False)
