"""Commands about people: `erase` forgets one, `erasures` says what waits, `subject export` tells everything about one."""

from __future__ import annotations

import shlex
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import ErasureError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.erasure import Erasure, Exporter, Outcomes, Plan, Request

_WORDS = {
    "done": "[green]done[/]",
    "nothing": "[dim]nothing there[/]",
    "waiting": "[yellow]waits[/]",
    "failed": "[red]failed[/]",
}


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def erasure(self) -> Erasure:
        """Forgets."""

    @property
    def exporter(self) -> Exporter:
        """Tells."""


class Commands:
    """The commands about people, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.erase)
        app.command(self.erasures)
        about = App(name="subject", help="What is held about a person.")
        about.command(self.export)
        app.command(about)

    def erase(
        self,
        *,
        actor: str | None = None,
        voice: str | None = None,
        plan: str | None = None,
        reason: str | None = None,
        resume: bool = False,
        trust_store: bool = False,
        yes: bool = False,
        json: bool = False,
    ) -> int:
        """Forget an actor or a voice everywhere: audio, words, keys, backups, reports, Mixpanel. There is no way back.

        Without --plan it shows what would go, and the id of that plan. What a legal hold keeps stays, and the erasure waits.

        The exit status is 1 when the store refused something, and 3 when nothing went, because all of it waits. It is 0 when
        some went and the rest waits: `voxledger erasures` says for what.

        **Examples**

            voxledger erase --actor ann
            voxledger erase --actor ann --plan 3f9c2e10aa51b7d4 --yes
            voxledger erase --voice bob
            voxledger erase --resume

        Parameters
        ----------
        actor
            Name of who is to be forgotten, or the opaque id.
        voice
            Name of a voice, or the first 8 or more digits of its SHA-256: the recording, its documents, and what was spoken with it.
        plan
            The id that the preview showed: if anything has changed since, nothing is done.
        reason
            Kept, sealed, with the request; write no names of people into it.
        resume
            Go on with what was asked for before: after a release of a hold, an outage, or a kill.
        trust_store
            The store is the right one, and what it does not have is gone: it was emptied or replaced, or a bucket was deleted, on purpose.
        yes
            Do not ask.
        json
            Print one JSON document.
        """
        if resume and (actor or voice or plan):
            raise ErasureError("--resume goes on with everything that waits: give it alone")
        if not resume and (actor is None) == (voice is None):
            raise ErasureError("say who is to be forgotten: --actor NAME or --voice NAME (or --resume)")
        with self._opened() as door, terminal.steps(quiet=json) as show:
            if resume:
                done = door.erasure.resume(trust_store=trust_store, progress=show)
            elif plan is None:
                found = door.erasure.plan(actor=actor, voice=voice, progress=show)
                if json:
                    terminal.print_json(found.as_dict())
                else:
                    _print_plan(found, "--actor" if actor is not None else "--voice")
                return 0
            else:
                if not yes:
                    _confirm(actor or voice or "")
                done = (
                    door.erasure.apply(
                        plan, actor=actor, voice=voice, reason=reason, trust_store=trust_store, progress=show
                    ),
                )
        if json:
            terminal.print_json([each.as_dict() for each in done])
        elif not done:
            terminal.console.print("Nothing waits to be erased.")
        else:
            for each in done:
                _print_outcomes(each)
        if any("failed" in each.outcomes.values() for each in done):
            return 1
        return terminal.WAITS if done and not any(each.advanced or each.finished for each in done) else 0

    def erasures(self, *, every: bool = False, json: bool = False) -> None:
        """Say which erasures wait, and for what.

        **Examples**

            voxledger erasures
            voxledger erasures --every

        Parameters
        ----------
        every
            Finished ones too.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = [request for request in door.erasure.requests() if every or request.is_open]
        if json:
            terminal.print_json([_told(request) for request in found])
            return
        if not found:
            terminal.console.print("Nothing waits to be erased.")
            return
        table = terminal.table("", "request", "asked", "who", "state", "what it waits for")
        for request in found:
            state = "[yellow]waits[/]" if request.is_open else "[green]erased[/]"
            table.add_row(
                f"[bold]{request.id[-8:]}[/]", terminal.moment(request.asked), f"{request.scope} {request.target[-8:]}", state,
                terminal.text("; ".join(request.notes.values()) or ("`voxledger erase --resume` goes on" if request.is_open else "")),
            )  # fmt: skip
        terminal.console.print(table)

    def export(self, *, actor: str, out: Path | None = None, json: bool = False) -> None:
        """Write everything that is held about an actor: what they did, their clips and voices, and what Mixpanel was told.

        Interrupted, the same command goes on. Nothing is overwritten.

        **Examples**

            voxledger subject export --actor ann --out ann/
            voxledger subject export --actor ann --out ann.zip

        Parameters
        ----------
        actor
            Name, or opaque id.
        out
            A folder that is not there yet, or a file that ends in .zip; by default ./subject-NAME.
        json
            Print one JSON document.
        """
        with self._opened() as door, terminal.steps(quiet=json) as show:
            subject = door.erasure.subject(actor=actor)
            target = out if out is not None else Path(f"subject-{subject.target[-8:]}")
            done = door.exporter.export(subject, target, progress=show)
        if json:
            terminal.print_json(
                {name: str(value) if isinstance(value, Path) else value for name, value in _fields(done).items()}
            )
            return
        terminal.console.print(
            f"[green bold]written[/] {terminal.count(done.events, 'event')}, {terminal.count(done.clips, 'clip')},"
            f" {terminal.count(done.audio, 'recording')} ({terminal.size(done.audio_bytes)}), {terminal.count(done.voices, 'voice')} to",
            terminal.text(done.path),
            soft_wrap=True,
        )
        if done.missing:
            terminal.console.print(
                f"The store does not have the audio of {terminal.count(done.missing, 'clip')} any more.", style="yellow"
            )


def _fields(done: object) -> dict[str, object]:
    return {name: getattr(done, name) for name in done.__struct_fields__}  # type: ignore[attr-defined]  # a Struct has them


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise ErasureError("nobody is there to ask: give --yes with the id of a plan that was looked at")
    question = f"Erase {name!r} for good, everywhere? Type yes: "
    if terminal.console.input(question, markup=False).strip().lower() != "yes":
        raise ErasureError("not confirmed; nothing was changed")


def _print_plan(plan: Plan, option: str) -> None:
    say, who = terminal.console.print, plan.subject
    say(f"[bold]plan {plan.id}[/] to forget the {who.scope} ", terminal.text(repr(who.called or who.target)), sep="")
    rows = [
        (plan.clips - plan.held, "clip", "clips", terminal.size(plan.bytes - plan.held_bytes)),
        (plan.objects, "object in the store", "objects in the store", _older(plan.versions)),
        (plan.recordings, "recording or document of a voice", "recordings of voices and documents", ""),
        (plan.backups, "backup with audio to look through", "backups with audio to look through", ""),
        (plan.copies, "copy of the catalog in HOME", "copies of the catalog in HOME", ""),
    ]
    for count, one, many, more in rows:
        if count:
            say(f"  {terminal.count(count, one, many)}{', ' + more if more else ''}")
    for words in plan.elsewhere:
        say("  ", terminal.text(words), sep="")
    if plan.pinned or plan.ordinary:
        say(f"  pinned clips: {plan.pinned:,}, held ones: {plan.ordinary:,}; they go all the same")
    if who.scope == "actor":
        say("  the key to everything they said, in the log and in every backup")
    for note in plan.notes:
        say("[yellow]note[/] ", terminal.text(note), sep="", soft_wrap=True)
    say("There is no way back. To do it:")
    say(
        terminal.text(f"  voxledger erase {option} {shlex.quote(who.called or who.target)} --plan {plan.id} --yes"),
        style="dim",
        soft_wrap=True,
    )


def _older(versions: int) -> str:
    return f"and {terminal.count(versions, 'older version')}" if versions else ""


def _print_outcomes(done: Outcomes) -> None:
    state = "[green bold]erased[/]" if done.finished else "[yellow bold]not finished[/]"
    terminal.console.print(
        f"{state} {done.scope} {done.target[-8:]} (request {done.request[-8:]}): {terminal.count(done.clips, 'clip')},"
        f" {terminal.count(done.objects, 'object')}, {terminal.size(done.bytes)}"
    )
    for name, outcome in done.outcomes.items():
        note = done.notes.get(name, "")
        terminal.console.print(
            f"  {name}: {_WORDS[outcome]}", terminal.text(f"  {note}" if note else ""), sep="", soft_wrap=True
        )
    if not done.finished:
        terminal.console.print("`voxledger erase --resume` goes on; `voxledger erasures` says what waits.", style="dim")


def _told(request: Request) -> dict[str, object]:
    return {
        "request": request.id, "scope": request.scope, "target": request.target, "plan": request.plan,
        "asked": request.asked.isoformat(), "ended": request.ended.isoformat() if request.ended else None,
        "open": request.is_open, "outcomes": dict(request.outcomes), "notes": dict(request.notes),
    }  # fmt: skip
