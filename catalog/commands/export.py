"""Commands that write the catalog into files of other kinds: `export duckdb | parquet`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.settings import Loaded


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    loaded: Loaded

    @property
    def catalog(self) -> Catalog:
        """Finds clips."""


class Commands:
    """The commands that export, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        export = App(name="export", help="Write the catalog into files for other tools.")
        export.command(self.duckdb)
        export.command(self.parquet)
        app.command(export)

    def duckdb(
        self,
        file: Path,
        /,
        *,
        storage_version: str = "v1.4.0",
        as_of: str | None = None,
        force: bool = False,
        json: bool = False,
    ) -> None:
        """Write a detached copy of the catalog into one DuckDB file, for DBeaver, Metabase or Grafana.

        It holds all relations of docs/sql.md with their comments, as they are now, names and texts included: erasing
        somebody later does not reach into it, so give it away and throw it away with care.

        **Examples**

            voxledger export duckdb catalog-copy.duckdb
            voxledger export duckdb /srv/metabase/voxledger.duckdb --force --storage-version v1.2.0
            voxledger export duckdb march.duckdb --as-of 2026-03-31

        Parameters
        ----------
        file
            The file to write; it appears when it is whole.
        storage_version
            The oldest DuckDB that shall read it.
        as_of
            As the catalog stood then: 2026-03-01T12:00:00Z, 2026-03-01 (the end of that day), or 7d (seven days ago).
        force
            Replace the file when it is there.
        json
            Print one JSON document.
        """
        import msgspec

        from voxledger.catalog.query.moment import moment_of

        with self._opened() as door, terminal.progress(quiet=json) as bar:
            task = bar.add_task("copying rows", total=None)
            made = door.catalog.export(
                file,
                storage_version=storage_version,
                as_of=moment_of("--as-of", as_of, door.loaded.settings.general.time_zone),
                force=force,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        if json:
            terminal.print_json(msgspec.to_builtins(made, enc_hook=str))
            return
        rows = terminal.table("", "relation", "rows", right=("rows",))
        for name, count in made.rows.items():
            rows.add_row(name, f"{count:,}")
        terminal.console.print(rows)
        readers = made.storage_version.removeprefix("v")
        terminal.console.print(
            terminal.text(f"{made.path}: {terminal.size(made.bytes)}, for DuckDB {readers} and newer")
        )

    def parquet(
        self,
        folder: Path,
        /,
        *,
        relation: tuple[str, ...] = (),
        as_of: str | None = None,
        force: bool = False,
        json: bool = False,
    ) -> None:
        """Write the catalog into a folder of Parquet files, one a week, for polars, pandas, Spark, DuckDB or a warehouse.

        All relations of docs/sql.md, in the layout of Hive: `clips/week=2026-W47/part-0.parquet`, by ISO week in
        `general.time_zone`; what has no time is one file. The next export into the folder writes only the weeks that have
        changed. The folder changes at the end, as a whole; interrupted before, the same command goes on.

        Names and texts are in it: erasing somebody later reaches the folder with the next export, and no copy of it at all,
        so give it away and throw it away with care.

        **Examples**

            voxledger export parquet /srv/lake/voxledger
            voxledger export parquet lake --relation generations --relation clips
            voxledger export parquet march --as-of 2026-03-31
            duckdb -c "FROM read_parquet('lake/generations/*/*.parquet', hive_partitioning = true) LIMIT 5"

        Parameters
        ----------
        folder
            The folder to write: a new one, an empty one, or that of an earlier export.
        relation
            Only this relation; may be repeated. Others that are there stay as they are.
        as_of
            As the catalog stood then: 2026-03-01T12:00:00Z, 2026-03-01 (the end of that day), or 7d (seven days ago).
        force
            Write every file anew, and take over a folder that another node has written.
        json
            Print one JSON document.
        """
        import msgspec

        from voxledger.catalog.query.moment import moment_of

        with (
            self._opened() as door,
            terminal.interruptible("The folder is as it was; the same command goes on from here."),
            terminal.steps(quiet=json) as progress,
        ):
            made = door.catalog.export_parquet(
                folder,
                relations=relation,
                as_of=moment_of("--as-of", as_of, door.loaded.settings.general.time_zone),
                force=force,
                progress=progress,
            )
        if json:
            terminal.print_json(msgspec.to_builtins(made, enc_hook=str))
            return
        rows = terminal.table("", "relation", "rows", right=("rows",))
        for name, count in made.rows.items():
            rows.add_row(name, f"{count:,}")
        terminal.console.print(rows)
        removed = f", {made.removed:,} removed" if made.removed else ""
        terminal.console.print(
            terminal.text(
                f"{made.path}: {terminal.size(made.bytes)} in {terminal.count(made.files, 'file')}, {made.written:,} written"
                f"{removed}"
            )
        )
