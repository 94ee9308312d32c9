"""Commands about voices: `voices add | list | show | withdraw`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

from cyclopts import App, Parameter
from rich.markup import escape

from voxledger.catalog import terminal
from voxledger.catalog.errors import QueryError, VoxledgerError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.objects import Uploader
    from voxledger.catalog.settings import Loaded
    from voxledger.synth.voices import Voice, Voices

_UPLOAD_WAIT = 10.0
_SHOWN_CLIPS = 10


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    loaded: Loaded

    @property
    def voices(self) -> Voices:
        """Registered voices."""

    @property
    def catalog(self) -> Catalog:
        """Finds clips."""

    @property
    def uploader(self) -> Uploader:
        """Uploads in the background."""

    def close(self, *, wait: float | None = None) -> None:
        """Let everything go."""


class Commands:
    """The commands about voices, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        voices = App(name="voices", help="Register a voice to speak with, see who consents to it, end that.")
        voices.command(self.add)
        voices.command(self.list_, name="list")
        voices.command(self.show)
        voices.command(self.withdraw)
        app.command(voices)

    def add(
        self,
        *words: str,
        own: bool = False,
        consent: Path | None = None,
        scope: str = "any",
        expires: str | None = None,
        actor: str | None = None,
        force: bool = False,
        wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
        json: bool = False,
    ) -> int:
        """Register a recording as a voice: NAME and a file, or only files, which are named after themselves.

        Engines that speak with recordings (IndexTTS) then take it as `--voice NAME`. The file is checked, copied into HOME
        and uploaded; 3 to 15 seconds of one person, clear and close, are best. A name that is taken goes to the new one.

        **Examples**

            voxledger voices add ann ann.wav --own
            voxledger voices add bob bob.flac --consent bob-agrees.pdf --scope internal --expires 2027-12-31
            voxledger voices add speakers/*.wav --consent contract.pdf --expires 365d

        Parameters
        ----------
        words
            NAME FILE, or any number of files.
        own
            It is the own voice of who registers it.
        consent
            A document in which the speaker agrees; it is kept, and its hash recorded.
        scope
            One word for what the consent covers, such as internal or commercial; recorded and shown, not enforced.
        expires
            When the consent ends by itself: 2027-12-31 (the end of that day), a time with an offset, or 365d from now.
        actor
            Who registers it, for the record.
        force
            Register it although it seems to have too little speech, or is too quiet or clipped.
        wait
            Wait up to 10 s for the upload.
        json
            Print one JSON document a voice.
        """
        from voxledger.synth.voices import shown

        failed = 0
        pairs = list(_pairs(words))
        with self._opened(channel="cli") as door:
            until = _end_of_consent(expires, door.loaded.settings.general.time_zone)
            for name, path in pairs:
                try:
                    with terminal.errors.status(f"listening to {escape(path.name)} …"):
                        voice = door.voices.add(
                            name, path, own=own, consent=consent, scope=scope, expires=until, actor=actor, force=force
                        )
                except VoxledgerError as error:
                    if len(pairs) == 1:
                        raise
                    failed += 1
                    terminal.errors.print("[red bold]error:[/] ", terminal.text(error), sep="", soft_wrap=True)
                    continue
                left = door.uploader.flush([voice.sha256], timeout=_UPLOAD_WAIT if wait else 0)
                if json:
                    terminal.print_json({**voice.as_dict(), "stored": not left})
                else:
                    shown.print_added(voice, (door.uploader.progress.trouble or "its upload goes on") if left else None)
            door.close(wait=0)
        return 1 if failed else 0

    def list_(self, *, json: bool = False) -> None:
        """List every voice that was ever registered here, and what became of it.

        **Examples**

            voxledger voices list
            voxledger voices list --json | jq -r 'select(.state == "registered") | .name'

        Parameters
        ----------
        json
            Print one JSON document a line.
        """
        with self._opened() as door:
            found = door.voices.all()
            uses = door.voices.uses() if found else {}
        if json:
            terminal.print_json_lines({**voice.as_dict(), "clips": uses.get(voice.sha256, 0)} for voice in found)
        elif found:
            from voxledger.synth.voices import shown

            shown.print_list(found, uses)
        else:
            terminal.console.print(
                "There are no voices yet. [dim]`voxledger voices add NAME FILE --own` registers one.[/]"
            )

    def show(self, voice: str, /, *, json: bool = False) -> None:
        """Show everything about one voice.

        **Examples**

            voxledger voices show ann
            voxledger voices show 3fa9c1d2e4b5 --json

        Parameters
        ----------
        voice
            Its name, 8 digits or more of its SHA-256, or the file itself.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.voices.show(voice)
            use = door.voices.use(found)
            reason = _reason(door.catalog, found)
        told = {
            **found.as_dict(),
            "withdrawal_reason": reason,
            "clips": use.clips,
            "clips_duration_us": use.duration_us,
        }
        if json:
            terminal.print_json(told)
        else:
            from voxledger.synth.voices import shown

            shown.print_voice(found, told)

    def withdraw(
        self, voice: str, /, *, reason: str | None = None, actor: str | None = None, json: bool = False
    ) -> None:
        """End the consent to a voice: nothing new is spoken with it, at once and in every process.

        It ends for the recording, under all its names. Lists what was made with it; those clips and the recording stay
        until retention or an erasure takes them. Registering it again, with new consent, makes it usable again.

        **Examples**

            voxledger voices withdraw ann --reason "the contract ended"
            voxledger clips --voice ann --limit 1000 --json

        Parameters
        ----------
        voice
            Its name, 8 digits or more of its SHA-256, or the file itself.
        reason
            Why, for those who ask later.
        actor
            Who withdraws it, for the record.
        json
            Print one JSON document.
        """
        with self._opened(channel="cli") as door:
            found = door.voices.withdraw(voice, reason=reason, actor=actor)
            clips = (
                door.catalog.clips(voice=found.voice.sha256, limit=_SHOWN_CLIPS)
                if found.use and found.use.clips
                else []
            )
        if json:
            terminal.print_json(
                {
                    **found.voice.as_dict(),
                    "clips": found.use and found.use.clips,
                    "clips_duration_us": found.use and found.use.duration_us,
                    "newest": [clip.as_dict() for clip in clips],
                    "others": [other.sha256 for other in found.others],
                }
            )
            return
        from voxledger.synth.voices import shown

        shown.print_withdrawn(found, clips)


def _pairs(words: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The name and the file of each registration. Two words are NAME FILE, unless the first one is a file as well."""
    if len(words) == 2 and not Path(words[0]).expanduser().is_file():
        yield words[0], Path(words[1])
        return
    if not words or (len(words) == 1 and not Path(words[0]).suffix):
        raise VoxledgerError("name a recording: voxledger voices add NAME FILE --own")
    for word in words:
        yield Path(word).stem, Path(word)


def _end_of_consent(text: str | None, zone: str) -> datetime | None:
    from datetime import UTC, timedelta

    from voxledger.catalog.query.moment import moment_of
    from voxledger.catalog.settings import parse_span

    if text is None:
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=parse_span(text))
    except (ValueError, OverflowError):
        pass  # then it is a moment
    try:
        return moment_of("--expires", text, zone)
    except QueryError:
        raise VoxledgerError(
            f"--expires {text[:80]!r} is no moment: write 365d (from now on), 2027-03-01 (the end of that day) or"
            " 2027-03-01T12:00:00Z"
        ) from None


def _reason(catalog: Catalog, voice: Voice) -> str | None:
    """Why it was withdrawn; only the log knows that."""
    if voice.state != "withdrawn":
        return None
    rows = catalog.sql(f"SELECT withdrawal_reason FROM voices WHERE sha256 = '{voice.sha256}'").rows()  # noqa: S608  # hex digits
    return rows[0]["withdrawal_reason"] if rows else None
