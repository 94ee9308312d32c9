"""The command line's root: one command from each floor, on one HOME."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.logging import RichHandler

from voxledger import __version__
from voxledger.analytics.cli import Commands as AnalyticsCommands
from voxledger.catalog import terminal
from voxledger.catalog.commands.backup import Commands as BackupCommands
from voxledger.catalog.commands.cache import Commands as CacheCommands
from voxledger.catalog.commands.clips import Commands as ClipCommands
from voxledger.catalog.commands.doctor import Commands as DoctorCommands
from voxledger.catalog.commands.erasure import Commands as ErasureCommands
from voxledger.catalog.commands.events import Commands as EventCommands
from voxledger.catalog.commands.home import Commands as CatalogCommands
from voxledger.catalog.commands.lifecycle import Commands as LifecycleCommands
from voxledger.catalog.commands.log import Commands as LogCommands
from voxledger.catalog.commands.models import Commands as ModelCommands
from voxledger.catalog.commands.reading import Commands as ReadingCommands
from voxledger.catalog.commands.reconcile import Commands as ReconcileCommands
from voxledger.catalog.commands.retention import Commands as RetentionCommands
from voxledger.catalog.commands.search import Commands as SearchCommands
from voxledger.catalog.commands.sql import Commands as SqlCommands
from voxledger.catalog.commands.store import Commands as StoreCommands
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.interrupts import between_steps
from voxledger.dashboards.commands.serving import Commands as NodeCommands
from voxledger.dashboards.commands.tokens import Commands as TokenCommands
from voxledger.demo import Commands as DemoCommands
from voxledger.synth.commands.batch import Commands as BatchCommands
from voxledger.synth.commands.clips import Commands as SynthClipCommands
from voxledger.synth.commands.engines import Commands as EngineCommands
from voxledger.synth.commands.presets import Commands as PresetCommands
from voxledger.synth.commands.speak import Commands as SynthCommands
from voxledger.synth.commands.voices import Commands as VoiceCommands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxledger.catalog.commands.sql import Served, Unserved
    from voxledger.catalog.home import Home
    from voxledger.catalog.query.parameters import Value
    from voxledger.catalog.reconcile import Measures

_EPILOGUE = "HOME is `--home`, or VOXLEDGER_HOME, or the platform's data folder. Every command has examples: `voxledger COMMAND --help`."


class _Home:
    """The HOME that this run of the command line is about."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def open(self, **options: Any) -> Any:
        """Open it. `channel` says which door is used; other options are settings."""
        from voxledger.ledger import Ledger

        channel = options.pop("channel", "cli")
        return Ledger(self.path, overrides=options, channel=channel)

    @contextmanager
    def backups(self, into: Path | None = None) -> Iterator[Any]:
        """Settings and backups without opening anything: those of `into` where it has settings, else of this HOME."""
        from voxledger.catalog.backup import Backups
        from voxledger.catalog.home import Home, default_path
        from voxledger.catalog.objects import Store
        from voxledger.catalog.settings import FILE_NAME, load

        own = self.path if self.path is not None else default_path()
        chosen = into if into is not None and (into.expanduser() / FILE_NAME).exists() else own
        home = Home(chosen.expanduser().resolve())
        settings = load(home.path).settings
        with closing(Store(home, settings.store)) as store, closing(Backups(home, settings, lambda: store)) as found:
            yield settings, found


def build() -> App:
    """The whole command line."""
    home = _Home()
    app = App(
        name="voxledger",
        help="The flight recorder of synthetic speech: every clip recorded once, found in milliseconds, kept as long as it is worth it.",
        help_epilogue=_EPILOGUE,
        version=__version__,
        help_format="markdown",
        default_parameter=Parameter(negative=()),
        console=terminal.console,
        error_console=terminal.errors,
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # `main` says that it came
    )
    for commands in (
        DemoCommands, SynthCommands, BatchCommands, SynthClipCommands, VoiceCommands, EngineCommands, PresetCommands,
        partial(SqlCommands, service=_served), partial(CatalogCommands, watch=_watch),
        partial(ClipCommands, spectrogram=_spectrogram), ReadingCommands, SearchCommands,
        EventCommands, LogCommands, AnalyticsCommands, RetentionCommands, ErasureCommands, StoreCommands, CacheCommands, ModelCommands,
        partial(ReconcileCommands, measure=_measure), DoctorCommands, LifecycleCommands,
        partial(BackupCommands, place=home.backups), NodeCommands, TokenCommands,
    ):  # fmt: skip
        commands(home.open).add_to(app)

    app.meta.suppress_keyboard_interrupt = False

    @app.meta.default
    def run(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        home_: Annotated[Path | None, Parameter(name="--home", help="The folder of this node.")] = None,
        verbose: Annotated[bool, Parameter(help="Say more about what happens, on standard error.")] = False,
    ) -> Any:
        home.path = home_
        _log_to_stderr(verbose)
        return app(tokens)

    return app


def _home_first(arguments: Sequence[str]) -> list[str]:
    """`--home` where it is read whatever the command: one that takes words with hyphens would take it for words."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for place, word in enumerate(arguments[:end]):
        if word == "--home" and place + 1 < end:
            return [*arguments[place : place + 2], *arguments[:place], *arguments[place + 2 :]]
        if word.startswith("--home="):
            return [word, *arguments[:place], *arguments[place + 1 :]]
    return list(arguments)


def _watch(ledger: Any, every: float, json: bool) -> None:
    from voxledger.dashboards.observing.watching import watch

    watch(ledger, every, json=json)


def _served(home: Home, query: str, parameters: Mapping[str, Value]) -> Served | Unserved:
    from voxledger.dashboards.sql.client import ask

    return ask(home, query, parameters)


def _spectrogram(path: Path, sample_rate: int) -> bytes:
    from voxledger.synth.audio import spectrogram_of_file

    return spectrogram_of_file(path, sample_rate=sample_rate)


def _measure(path: Path) -> Measures | None:
    from voxledger.catalog.reconcile import Measures

    try:
        from voxledger.synth.voices.foreign import measure_foreign
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "voxledger":
            raise
        raise VoxledgerError(
            f"measuring audio needs the package {error.name!r}: pip install 'voxledger[synth]'"
        ) from error
    found = measure_foreign(path)
    if found is None:
        return None
    return Measures(
        loudness_lufs=found.loudness_lufs, true_peak_dbtp=found.true_peak_dbtp, silence_share=found.silence_share
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2 or 1."""
    try:
        with between_steps():
            code = build().meta(_home_first(sys.argv[1:] if arguments is None else arguments))
    except VoxledgerError as error:
        terminal.errors.print("[red bold]error:[/] ", terminal.text(error), sep="", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        said = f" {interrupt}" if interrupt.args else ""
        terminal.errors.print("\n[yellow]Interrupted.[/]", terminal.text(said), sep="", soft_wrap=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`| head`): nothing to report, and nothing may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # the last resort of a command line
        # A defect of ours: said in one line, with the way to its stack trace.
        if "--verbose" in (sys.argv[1:] if arguments is None else arguments):
            raise
        terminal.errors.print(
            "[red bold]error:[/] ", terminal.text(f"{type(error).__name__}: {error}"), sep="", soft_wrap=True
        )
        terminal.errors.print("This should not have happened; `--verbose` shows where.", style="dim")
        sys.exit(70)
    sys.exit(code if isinstance(code, int) else 0)


def _log_to_stderr(verbose: bool) -> None:
    handler = RichHandler(console=terminal.errors, show_path=False, show_time=verbose)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, handlers=[handler], format="%(message)s", force=True
    )
    for noisy in ("botocore", "boto3", "urllib3", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.WARNING if verbose else logging.ERROR)
