"""Voices: register a recording with the consent to it, use it while that lasts, and end it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.catalog.errors import StoreError, VoxledgerError
from voxledger.catalog.events import VoiceWithdrawn
from voxledger.catalog.home import Home
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.synth.errors import ConsentEnded, RecordingRefused, UnknownVoice, VoiceMissing
from voxledger.synth.labels import clean_label
from voxledger.synth.voices.intake import content_hash
from voxledger.synth.voices.records import Recording, Use, Voice, Withdrawn
from voxledger.synth.voices.registering import Asked, register
from voxledger.synth.voices.registry import SQL, Entry, Registry
from voxledger.synth.voices.shelf import Shelf

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

_log = logging.getLogger(__name__)
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_SUFFIX = re.compile(r"\.\w{1,5}$")


class Voices:
    """The registered voices of a HOME. Safe from many threads; what one process changes, all others know at once.

    `speak(voice="ann")` uses one where the engine has `reference_voices`, `emotion_reference="ann"` lends its emotion.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Callable[[], Keeper],
        store: Callable[[], Store],
        *,
        actor: str,
        on_recorded: Callable[[], None] = lambda: None,
    ) -> None:
        """`actor` registers and withdraws when a call does not say who; `on_recorded` is called when there is an upload."""
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._actor = actor
        self._on_recorded = on_recorded
        self._shelf = Shelf(home.voices)
        self._registry = Registry(recorder, keeper, self._drop)
        self._hashes: dict[tuple[int, ...], str] = {}

    def add(
        self,
        name: str,
        recording: str | Path,
        *,
        own: bool = False,
        consent: str | Path | None = None,
        scope: str = "any",
        expires: datetime | None = None,
        actor: str | None = None,
        force: bool = False,
    ) -> Voice:
        """Check a recording and register it under a name, with the consent it stands on; its upload goes on by itself.

        Either `own` (it is the voice of who registers it) or `consent`, a document that is kept beside the recording.
        `scope` is one word for what the consent covers; `expires`, aware, when it ends by itself. `force` turns what is
        a matter of judgement (too little speech, too quiet, clipped) into warnings.

        A name that is taken goes to the new recording. One recording may have several names: its newest registration is
        the consent that counts, also after a withdrawal. Raises RecordingRefused, DiskFull and HomeError; nothing was
        registered then.
        """
        asked = Asked.of(
            name,
            recording,
            own=own,
            consent=consent,
            scope=scope,
            expires=expires,
            actor=actor or self._actor,
            force=force,
        )
        sha256, warnings = register(asked, self._home, self._settings, self._recorder, self._registry, self._shelf)
        self._on_recorded()
        found = self._registry.with_sha256(sha256)
        assert found is not None
        return msgspec.structs.replace(self._voice(found, self._registry.names_of(sha256)), warnings=warnings)

    def resolve(self, voice: str | Path | Voice | Recording) -> Recording:
        """The recording behind a name, a SHA-256 (8 hex digits of it or more) or a file with its content, usable now.

        Made for the way of every clip: a look into the journal, so that it is right in every process at once, and cheap
        enough to be repeated before each synthesis. A recording that is not here is fetched from the store first.

        A `Path` is always a file; a text is a name first. Raises UnknownVoice, which names voices that come near, or the
        command that registers the file; ConsentEnded when the voice was withdrawn, expired or erased; VoiceMissing when
        its recording can be had neither here nor from the store. Within a journal transaction it, and `check`, raise
        JournalError in the rare case that the log must be read first.
        """
        entry = self._entry(voice)
        self._require(entry)
        facts = self._registry.facts(entry.row)
        sha256, key = entry.row.sha256, str(facts["key"])
        if not self._shelf.holds(key, sha256):
            self._fetch(key, sha256, str(facts["bucket"]))
        return Recording(
            sha256=sha256,
            name=entry.name or str(facts["name"]),
            path=self._shelf.path(key),
            duration_us=int(facts["duration_us"]),
            scope=str(facts["scope"]),
            expires=_moment(entry.row.expires),
        )

    def require_name(self, voice: str) -> None:
        """Raises UnknownVoice for what would be taken for a file of this machine: whoever asks from elsewhere names none."""
        if _looks_like_a_file(voice) and self._registry.named(voice) is None:
            raise self._registry.unknown(voice)

    def check(self, sha256: str) -> None:
        """Whether the recording with this SHA-256 may be used now: for clips that were made with it and are to be given
        again. Raises ConsentEnded when not, UnknownVoice when it was never registered in this HOME.
        """
        entry = self._registry.with_sha256(sha256)
        if entry is None:
            raise UnknownVoice(
                f"no voice with the SHA-256 {sha256} is registered here; `voxledger voices list` shows all"
            )
        self._require(entry)

    def all(self) -> list[Voice]:
        """Every recording that was ever registered here, in the order of registration, whatever became of it."""
        return [self._voice(entry, names) for entry, names in self._registry.all()]

    def show(self, voice: str | Path | Voice | Recording) -> Voice:
        """Everything about one, also when it may not be used any more. Raises UnknownVoice."""
        entry = self._entry(voice)
        return self._voice(entry, self._registry.names_of(entry.row.sha256))

    def use(self, voice: Voice) -> Use:
        """How much was made with a recording, as a voice or as an emotion's reference."""
        with self._keeper().reading() as reading:
            rows = reading.rows(SQL["use"], {"sha256": voice.sha256})
        return msgspec.convert(rows[0], Use)

    def uses(self) -> dict[str, int]:
        """How many clips were made with each recording, by SHA-256."""
        with self._keeper().reading() as reading:
            return dict(reading.tuples(SQL["uses"]))

    def withdraw(
        self, voice: str | Path | Voice | Recording, *, reason: str | None = None, actor: str | None = None
    ) -> Withdrawn:
        """End the consent to a recording, under all its names: nothing new is spoken with it, in any process, from now
        on. What was made with it stays until retention or an erasure takes it; so does the recording, as evidence.

        Raises UnknownVoice, and ConsentEnded when it has ended before.
        """
        found = self.show(voice)
        if found.state in ("withdrawn", "erased"):
            raise ConsentEnded(
                f"voice {_called(found.name, found.sha256)} was {found.state} already; nothing was changed"
            )
        use = self._use_or_none(found)
        fact = VoiceWithdrawn(
            sha256=found.sha256, clips=use.clips if use else None, name=found.name or "", reason=reason or None
        )
        who = self._recorder.vault.actor(clean_label("actor", actor or self._actor))
        if self._registry.withdraw(fact, actor=who) is None:
            raise ConsentEnded(
                f"voice {_called(found.name, found.sha256)} was withdrawn meanwhile; nothing was changed"
            )
        return Withdrawn(voice=self.show(found.sha256), use=use, others=self._namesakes(found))

    def _use_or_none(self, voice: Voice) -> Use | None:
        """The end of consent does not wait until a catalog that is busy or damaged can be asked again."""
        try:
            return self.use(voice)
        except VoxledgerError as error:
            _log.warning("what was made with voice %s could not be counted: %s", voice.short, error)
            return None

    def _namesakes(self, voice: Voice) -> tuple[Voice, ...]:
        names = {name.casefold() for name in (voice.name, *voice.names) if name}
        return tuple(
            other
            for other in self.all()
            if other.state == "registered" and other.name and other.name.casefold() in names
        )

    def _entry(self, voice: str | Path | Voice | Recording) -> Entry:
        """What a name, a hash or a file leads to. Raises UnknownVoice."""
        if isinstance(voice, (Voice, Recording)):
            voice = voice.sha256
        if not isinstance(voice, (str, Path)):
            raise UnknownVoice(f"a voice is named by a name, a SHA-256 or the path of a recording, not by {voice!r}")
        if isinstance(voice, Path):
            return self._by_content(voice)
        entry = self._registry.named(voice)
        if entry is None and _PREFIX.fullmatch(voice):
            entry = self._registry.with_sha256(voice)
        if entry is not None:
            return entry
        if _looks_like_a_file(voice):
            return self._by_content(Path(voice))
        raise self._registry.unknown(voice)

    def _by_content(self, path: Path) -> Entry:
        try:
            entry = self._registry.with_sha256(self._content_hash(path.expanduser()))
        except RecordingRefused as error:
            raise UnknownVoice(f"{error}; a voice is a registered name, or a file with the content of one") from error
        if entry is None:
            raise UnknownVoice(
                f"{path} is the recording of no registered voice; register it:"
                f" voxledger voices add NAME {path} --own (or --consent FILE)"
            )
        return entry

    def _content_hash(self, path: Path) -> str:
        """A batch names the same files again and again; a file that did not change is hashed once."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            return content_hash(path)  # which says what is wrong with it
        identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        known = self._hashes.get(identity)
        if known is None:
            if len(self._hashes) >= 10_000:
                self._hashes.clear()
            known = self._hashes[identity] = content_hash(path)
        return known

    def _require(self, entry: Entry) -> None:
        """Raises ConsentEnded unless the recording may be used now."""
        state, row = entry.state, entry.row
        if state == "registered":
            return
        called = _called(entry.name, row.sha256)
        if state == "erased":
            raise ConsentEnded(
                f"voice {called} was erased, or the key of who registered it is not in this HOME's vault; register it again to use it"
            )
        when = _moment(row.ended if state == "withdrawn" else row.expires)
        assert when is not None
        what = "was withdrawn" if state == "withdrawn" else "expired: consent ended"
        raise ConsentEnded(
            f"voice {called} {what} on {when:%Y-%m-%d %H:%M} UTC; choose another one, or register it again with new consent:"
            " voxledger voices add"
        )

    def _fetch(self, key: str, sha256: str, bucket: str) -> None:
        path = self._shelf.path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store().download(bucket, key, path, sha256=sha256)
            path.chmod(0o600)
        except (StoreError, OSError) as error:
            raise VoiceMissing(
                f"the recording of voice {sha256[:12]} is not at {path}, and the store does not give it: {error};"
                " put the file back there, or register it again"
            ) from error

    def _drop(self, hashes: Iterable[str]) -> None:
        """What was erased goes from the disk as well."""
        for sha256 in hashes:
            self._shelf.drop(sha256)

    def _voice(self, entry: Entry, names: tuple[str, ...]) -> Voice:
        row = entry.row
        key = self._recorder.vault.key(row.actor)
        facts: dict[str, Any] = {} if row.erased or key is None else self._registry.facts(row)
        known = {name: facts[name] for name in Voice.__struct_fields__ if name in facts}
        document = facts.get("consent_path")
        return Voice(
            **{
                **known,
                "sha256": row.sha256,
                "name": entry.name or facts.get("name"),
                "names": names,
                "state": entry.state if facts else "erased",
                "registered": _moment(row.registered),
                "withdrawn": _moment(row.ended),
                "expires": _moment(row.expires),
                "actor": key.label if key and facts else None,
                "path": self._shelf.path(facts["key"]) if facts else None,
                "consent_path": self._shelf.path(document) if document else None,
            }
        )


def _looks_like_a_file(text: str) -> bool:
    return "/" in text or "\\" in text or _SUFFIX.search(text) is not None


def _called(name: str | None, sha256: str) -> str:
    return f"{name!r} ({sha256[:12]})" if name else sha256[:12]


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC)
