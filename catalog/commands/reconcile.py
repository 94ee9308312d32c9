"""Commands that compare the store with the catalog, and take audio in from elsewhere: `reconcile`, `adopt`, `import`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.settings import format_span, parse_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.home import Home
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store, Uploader
    from voxledger.catalog.reconcile import Reconciled, Taken
    from voxledger.catalog.reconcile.taken import Measure
    from voxledger.catalog.recorder import Recorder
    from voxledger.catalog.settings import Settings

_SHOWN = 20
_COLOURS = {"missing": "red", "changed": "red", "unsent": "yellow", "orphan": "yellow", "purged": "magenta"}


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    home: Home
    settings: Settings
    recorder: Recorder
    actor: str

    @property
    def keeper(self) -> Keeper:
        """The log."""

    @property
    def store(self) -> Store:
        """The S3 store."""

    @property
    def uploader(self) -> Uploader:
        """Uploads."""


class Commands:
    """The commands, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door], *, measure: Measure) -> None:
        """`measure` decodes a file that nobody vouches for, in a process of its own."""
        self._opened = opened
        self._measure = measure

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.reconcile)
        app.command(self.adopt)
        app.command(self.import_, name="import")

    def reconcile(
        self, *, repair: bool = False, accept_loss: bool = False, grace: str = "1h", json: bool = False
    ) -> int:
        """Compare what the store holds with what the catalog knows, and say what differs.

        Missing, changed and orphaned objects are recorded, once each. Nothing is deleted and nothing overwritten. A listing
        that fails, is empty, or lacks most clips stops it before anything is recorded. The exit status is 1 when something is
        not as it should be.

        **Examples**

            voxledger reconcile
            voxledger reconcile --repair
            voxledger reconcile --json

        Parameters
        ----------
        repair
            Upload missing clips again from the cache, and make orphans clips again that say which clip of this node they are.
            Never what was purged or erased.
        accept_loss
            Go on although the bucket is empty or lacks most clips: they really are lost.
        grace
            Objects and clips younger than this are left alone, because they may be under way: 1h, 30min, 2d.
        json
            Print one JSON document.
        """
        from voxledger.catalog.reconcile import Around, reconcile

        seconds = parse_span(grace)
        with self._opened() as door:
            with terminal.steps(quiet=json) as progress:
                report = reconcile(
                    Around.of(door), repair=repair, accept_loss=accept_loss, grace=seconds, progress=progress
                )
            if report.queued:
                door.uploader.notify()
        if json:
            terminal.print_json(report.as_dict())
        else:
            _print_report(report, grace=seconds)
        return 1 if report.open else 0

    def adopt(
        self,
        place: str,
        /,
        *,
        session: str | None = None,
        tag: list[str] | None = None,
        measure: bool = False,
        json: bool = False,
    ) -> int:
        """Make clips of sound files that lie in a bucket already, where they lie.

        WAV, FLAC, Opus, Ogg Vorbis and MP3. Each is read to its end once, and nothing in the bucket is changed. What is a clip
        already is passed over, so after an interruption simply call it again. Adopted clips are found, played, held and
        purged like any other; they are no generations, so usage figures do not change.

        **Examples**

            voxledger adopt s3://old-voice-bucket/2025/
            voxledger adopt s3://indextts-audio/legacy --session legacy --tag old --measure

        Parameters
        ----------
        place
            Where they lie, s3://BUCKET/PREFIX, at the endpoint of the settings.
        session
            Session of the clips; by default the last folder of each key.
        tag
            Tag for all of them; may be repeated.
        measure
            Measure loudness, peak and silence too, about 0.3 s a file.
        json
            Print one JSON document.
        """
        from voxledger.catalog.catalog import check_tag
        from voxledger.catalog.reconcile import Around, adopt

        tags = [check_tag(each) for each in tag or ()]
        with self._opened() as door, terminal.steps(quiet=json) as progress:
            taken = adopt(
                Around.of(door),
                place,
                session=session,
                tags=tags,
                measure=self._measure if measure else None,
                progress=progress,
            )
        return _print_taken(taken, "adopted", json=json)

    def import_(
        self,
        folder: Path,
        /,
        *,
        session: str | None = None,
        tag: list[str] | None = None,
        measure: bool = False,
        json: bool = False,
    ) -> int:
        """Make clips of the sound files in a folder, such as IndexTTS's `outputs`: copied, recorded, uploaded.

        WAV, FLAC, Opus, Ogg Vorbis and MP3, in folders below too; the files themselves stay as they are. The same audio is
        taken once, so after an interruption simply call it again.

        **Examples**

            voxledger import ~/index-tts/outputs
            voxledger import recordings --session spring --tag old --measure

        Parameters
        ----------
        folder
            The folder.
        session
            Session of the clips; by default the folder's name.
        tag
            Tag for all of them; may be repeated.
        measure
            Measure loudness, peak and silence too, about 0.3 s a file.
        json
            Print one JSON document.
        """
        from voxledger.catalog.catalog import check_tag
        from voxledger.catalog.reconcile import Around, import_folder

        tags = [check_tag(each) for each in tag or ()]
        with self._opened() as door:
            with terminal.steps(quiet=json) as progress:
                taken = import_folder(
                    Around.of(door), folder, session=session, tags=tags, measure=self._measure if measure else None,
                    progress=progress,
                )  # fmt: skip
            if taken.taken:
                door.uploader.notify()
        return _print_taken(taken, "imported", json=json)


def _print_report(report: Reconciled, *, grace: float) -> None:
    say = terminal.console.print
    counted = (
        f"{terminal.count(report.objects, 'object')} in {', '.join(report.buckets)} ·"
        f" {terminal.count(report.there, 'clip')} where {'it belongs' if report.there == 1 else 'they belong'},"
        f" {terminal.size(report.bytes)}"
    )
    verdict = "[red bold]not in order[/]" if report.open else "[green bold]in order[/]"
    say(f"{verdict} · ", terminal.text(counted), sep="")
    if report.findings:
        # What to do stands below the object it is about: side by side, either would be cut into many lines.
        made = terminal.table("", "what", "clip", "size", "object", right=("size",))
        for finding in report.findings[:_SHOWN]:
            made.add_row(
                "[green]mended[/]" if finding.mended else f"[{_COLOURS[finding.kind]}]{finding.kind}[/]",
                (finding.clip or "·")[-8:],
                terminal.size(finding.bytes),
                terminal.text(f"{finding.bucket}/{finding.key}").append(
                    f"\n{finding.note}" if finding.note else "", style="dim"
                ),
            )
        say(made)
        hidden = len(report.findings) + report.more - _SHOWN
        if hidden > 0:
            say(f"[dim]{hidden:,} more (--json lists up to 1,000)[/]")
    for number, sentence in _sentences(report, grace):
        if number:
            say(f"[dim]{number:,} {sentence}[/]", soft_wrap=True)


def _sentences(report: Reconciled, grace: float) -> tuple[tuple[int, str], ...]:
    return (
        (report.missing, "missing from the store"),
        (report.changed, "changed in the store"),
        (report.unsent, "never uploaded, with no upload waiting"),
        (report.orphans, "orphaned: in the store, but no clip's"),
        (report.purged, "still there or there again, though purged or erased"),
        (report.queued, "queued for upload from the cache"),
        (report.adopted, "taken back as the clips that they say they are"),
        (report.elsewhere, "put there by other nodes, left to them"),
        (report.back, "back after having been missing"),
        (report.confirmed, "stored though nobody had confirmed it; every byte was read"),
        (report.recent, f"younger than {format_span(grace)}, left alone"),
        (report.purging, "being deleted by retention"),
        (report.nameless, "of erased actors, whose keys nobody knows"),
        (report.unsure, "changed while this ran; the next run looks again"),
        (report.recorded, "recorded as events"),
    )


def _print_taken(taken: Taken, verb: str, *, json: bool) -> int:
    if json:
        terminal.print_json(taken.as_dict())
        return 1 if taken.refused and not taken.taken and not taken.known else 0
    say = terminal.console.print
    say(
        f"[green bold]{terminal.count(taken.taken, 'clip')} {verb}[/] · {terminal.length(taken.duration_us / 1e6)},"
        f" {terminal.size(taken.bytes)} · of {terminal.count(taken.found, 'file')}"
    )
    if taken.known:
        say(f"[dim]{taken.known:,} known already[/]")
    if taken.gone:
        say(f"[dim]{taken.gone:,} of clips that were purged or erased; nothing brings those back but a restore[/]")
    if taken.notes:
        made = terminal.table("Not taken", "what", "why")
        for note in taken.notes[:_SHOWN]:
            made.add_row(terminal.text(note.what), terminal.text(note.why))
        say(made)
        hidden = taken.refused - min(len(taken.notes), _SHOWN)
        if hidden > 0:
            say(f"[dim]{hidden:,} more (--json lists up to 1,000)[/]")
    return 1 if taken.refused and not taken.taken and not taken.known else 0
