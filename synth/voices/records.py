"""What the voices room hands out: a voice as people see it, the recording that an engine gets, the end of a voice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

VoiceState: TypeAlias = Literal["registered", "expired", "withdrawn", "erased"]
Consent: TypeAlias = Literal["own", "document"]


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A registered recording that may be spoken with right now. `path` is where an engine reads it: the same content has
    the same path for ever, and what lies there was held against `sha256` by this process.
    """

    sha256: str
    name: str
    path: Path
    duration_us: int
    scope: str
    expires: datetime | None


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A registered recording with everything that was recorded about it. `names` lead to it now; it may have none.

    Personal fields are None once the actor who registered it was erased. `warnings` are those of a registration.
    """

    sha256: str
    name: str | None
    names: tuple[str, ...]
    state: VoiceState
    registered: datetime
    actor: str | None
    withdrawn: datetime | None = None
    bytes: int | None = None
    duration_us: int | None = None
    speech_us: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    loudness_lufs: float | None = None
    consent: Consent | None = None
    consent_sha256: str | None = None
    consent_path: Path | None = None
    scope: str | None = None
    expires: datetime | None = None
    bucket: str | None = None
    key: str | None = None
    path: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The first 12 hex digits of the SHA-256: what people see and type."""
        return self.sha256[:12]

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints; moments in ISO 8601."""
        return {name: _plain(value) for name, value in msgspec.structs.asdict(self).items()}


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """How much was made with a recording, as a voice or as an emotion's reference."""

    clips: int
    duration_us: int


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a voice. `use` is what was made with it until then, None when the catalog could not be asked; `others` are
    recordings that once had the same name and may still be used: a person who withdraws a voice may mean them too.
    """

    voice: Voice
    use: Use | None
    others: tuple[Voice, ...] = ()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
