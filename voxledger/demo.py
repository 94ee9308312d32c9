"""The demo: from nothing to a library of speech that can be asked, heard and reported. All of it is made now, for
real.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from cyclopts import App
from rich.panel import Panel

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.ledger import Ledger

_QUERY = """SELECT emotion, count(*) AS clips, round(sum(duration_s), 1) AS seconds, count(DISTINCT language) AS
languages, round(avg(loudness_lufs), 1) AS lufs
FROM clips GROUP BY emotion ORDER BY clips DESC, emotion"""
_IN_PYTHON = 24
"""So many lines come through the Python API, the others through `batch`; two more through `say`."""
_SAID = (
    ("The tide is turning.", "--emotion", "happy=0.8", "--format", "flac", "--session", "quickstart"),
    ("Nobody has read this diary for a hundred years.", "--emotion", "melancholic=0.7", "--session", "quickstart"),
)


class Commands:
    """The command `demo`, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Ledger]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.demo)

    def demo(self, *, out: Path | None = None, open: bool = False) -> int:  # the option people know
        """Make a small library of speech, upload it, ask it a question, and write its weekly report.

        About 60 clips in ten languages and all emotions, through the doors that you will use. It can be repeated: what
        is there is not made again.

        **Examples**

            voxledger demo
            voxledger demo --out report/ --open
            voxledger --home ./demo demo

        Parameters
        ----------
        out
            Folder of the report; by default HOME/reports.
        open
            Open the report in a browser.
        """
        begun = time.monotonic()
        with self._opened(channel="python") as ledger:
            ledger.studio.engine()  # says at once what to install when the extra is missing
            terminal.console.print(f"[bold]Voxledger demo[/] in {ledger.home.path}\n")
            _speak(ledger)
            _live_with_it(ledger)
            waiting = _upload(ledger)
            terminal.console.print('\n[bold]A question to the catalog[/]  [dim]voxledger sql "…"[/]')
            _answer(ledger)
            report = ledger.reports.publish(out)[0]
            _finish(ledger, report, waiting, time.monotonic() - begun)
        if open:
            webbrowser.open(report.as_uri())
        return 1 if waiting else 0


def _speak(ledger: Ledger) -> None:
    """Lines through the Python API, then the batch command, then the command line as a process of its own."""
    from voxledger.synth import batch

    source = files("voxledger").joinpath("demo.jsonl")
    lines = source.read_text(encoding="utf-8").splitlines()
    with terminal.progress() as bar, as_file(source) as path:
        task = bar.add_task("speaking", total=len(lines) + len(_SAID))
        for line in lines[:_IN_PYTHON]:
            fields: dict[str, Any] = msgspec.json.decode(line)
            ledger.speak(**fields)
            bar.advance(task)
        for spoken in batch.run(ledger.studio, path, batch.Options()):
            if spoken.number > _IN_PYTHON:
                bar.advance(task)
            if spoken.error:
                terminal.errors.print(f"line {spoken.number}: ", terminal.text(spoken.error), sep="")
        for words in _SAID:
            _say(ledger, words)
            bar.advance(task)


def _say(ledger: Ledger, words: Sequence[str]) -> None:
    command = [sys.executable, "-m", "voxledger", "--home", str(ledger.home.path), "say", *words, "--no-wait", "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # argv is ours


def _live_with_it(ledger: Ledger) -> None:
    """What happens to clips besides being made: asked for again, taken again, tagged, pinned."""
    again = ledger.speak("The tide is turning.", emotion="happy=0.8", format="flac", session="quickstart")
    ledger.speak("The tide is turning.", emotion="happy=0.8", format="flac", session="quickstart", take=2)
    ledger.catalog.pin(again.id, reason="the first words of this library")
    ledger.catalog.tag(again.id, "keeper")


def _upload(ledger: Ledger) -> int:
    with terminal.errors.status("uploading …"):
        return int(ledger.uploader.flush(timeout=30))


def _answer(ledger: Ledger) -> None:
    result = ledger.catalog.sql(_QUERY)
    made = terminal.table("", *result.arrow().column_names, right=("clips", "seconds", "languages", "lufs"))
    for row in result.rows():
        made.add_row(*(str(value) for value in row.values()))
    terminal.console.print(made)


def _finish(ledger: Ledger, report: Path, waiting: int, seconds: float) -> None:
    totals = ledger.catalog.totals()
    home = ledger.home.path
    command = f"{_program()} --home {_shown(home)}"
    facts = (
        f"[bold]{terminal.count(totals['clips'], 'clip')}[/], {terminal.length(totals['duration_us'] / 1e6)} of speech,"
        f" {totals['stored']:,} in the store, in {seconds:.0f} s\n\n"
        f"audio    {_shown(home / 'cache')}\n"
        f"store    {ledger.store.endpoint or 'not running'}\n"
        f"report   [bold]{_shown(report)}[/]"
    )
    if waiting:
        facts += f"\n\n[yellow]{terminal.count(waiting, 'upload')} waiting; `{command} status` says for what[/]"
    terminal.console.print(Panel(facts, border_style="dim", expand=False))
    # Outside the frame, so that they can be copied whole.
    terminal.console.print("Open the report in a browser, and try next:", style="dim")
    for words in (
        f'{command} say "Hello from me." --emotion surprised',
        f"{command} clips --emotion sad",
        f'eval "$({command} store env)"; aws s3 ls --recursive s3://{ledger.settings.store.audio}',
    ):
        terminal.console.print(f"  {words}", markup=False, soft_wrap=True)


def _program() -> str:
    """What to type: the bare name when the shell finds it, else the path this was called by."""
    found = shutil.which("voxledger")
    called = Path(sys.argv[0])
    return "voxledger" if (found and Path(found).samefile(called)) or called.name != "voxledger" else str(called)


def _shown(path: Path) -> str:
    """Relative to where the user stands, when it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
