"""Writes the pages that are made from the code: sql.md, settings.md, events.md, metrics.md, commands.md and the end of api.md.

`make docs` runs it; a test fails when a page is not what it would write.
"""

from __future__ import annotations

import ast
import inspect
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import msgspec
from cyclopts import App

import voxledger
from voxledger.analytics import metrics
from voxledger.catalog import settings
from voxledger.catalog.events import REGISTRY, personal_fields
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.projections import RELATIONS
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.vault import Vault
from voxledger.cli import build
from voxledger.dashboards.api.description import operations
from voxledger.dashboards.server.app import build as build_app
from voxledger.dashboards.server.site import Site

HERE = Path(__file__).parent


def sql_page() -> str:
    """Every relation and column with the comment that DuckDB carries."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(Path(folder) / "home")
        vault, journal = Vault(home.vault), Journal(home.journal)
        keeper = Keeper(home, Recorder(journal, vault))
        with keeper.reading() as reading:
            tables = dict(
                reading.tuples(
                    "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'main'"
                    " UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
                )
            )
            columns = reading.tuples(
                "SELECT table_name, column_name, data_type, comment FROM duckdb_columns()"
                " WHERE database_name IN ('catalog', 'log') AND schema_name = 'main' AND NOT internal ORDER BY table_name, column_index"
            )
        journal.close()
        vault.close()
    lines = [
        "# What SQL sees",
        "",
        '`voxledger sql "…"`, `vox.catalog.sql("…").pl()` and `.arrow()` answer one SELECT over these relations, and so does a node:',
        "`POST /api/sql`. They are documented and stable; the comments stand in DuckDB itself (`FROM duckdb_columns()`). `--as-of`, or",
        "`as_of=`, shows all of them as they stood at a moment.",
        "",
        "Before a query runs it is taken apart: it may name only these relations, and only table functions that reach nothing else",
        "(`range`, `generate_series`, `unnest`, `json_each`, `json_tree`, `clips_at` and the other `…_at`, `duckdb_tables`,",
        "`duckdb_columns`, `duckdb_views`). Files, URLs, settings, `EXPLAIN` and whatever writes or waits are refused; `PIVOT` needs",
        "its list of values (`PIVOT clips ON emotion IN ('happy', 'sad') USING count(*)`). This keeps mistakes away, not an enemy:",
        "SQL in your own process runs with your own rights and trusts you, the local user. Look a clip up by its whole id, or by",
        "`tail`; comparing `short` reads every row.",
        "",
        "```sql",
        "SELECT emotion, count(*) AS clips, round(sum(duration_s), 1) AS seconds FROM clips GROUP BY ALL ORDER BY clips DESC;",
        "SELECT actor, date_trunc('day', time) AS day, count(*) FROM generations WHERE outcome = 'completed' GROUP BY ALL;",
        "SELECT short, name, emotion_effective[1] AS happy FROM clips WHERE list_contains(tags, 'on-air');",
        "FROM events WHERE subject = (SELECT id::VARCHAR FROM clips ORDER BY created DESC LIMIT 1);",
        "```",
        *_SERVICE.splitlines(),
    ]
    for table in RELATIONS:
        lines += ["", f"## {table}", "", tables[table], "", "| column | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{column}` | {kind} | {comment} |" for name, column, kind, comment in columns if name == table]
    return "\n".join(lines) + "\n"


_SERVICE = """
## The service of a node

`voxledger serve` answers SQL for whoever has a token that permits it (analyst, curator, admin; all clips, not only the own ones):

```
curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" http://127.0.0.1:8460/api/sql \\
  -d '{"query": "SELECT emotion, count(*) AS n FROM clips WHERE language = $l GROUP BY ALL", "params": {"l": "en"}}'
```

Answers come as JSON, CSV, an Arrow stream or Parquet, by `"format"` or by the header `Accept`. In JSON, decimals and intervals
are text and bytes base64; in CSV bytes are hexadecimal. A time of day with an offset (`TIMETZ`) is text in every format. `"rows"`
asks for fewer rows than `sql.rows`. Headers say the same for every format: `X-Voxledger-Position`, `-Snapshot-Age` (s), `-Rows`,
`-Truncated` (rows were left off) and `-Took` (ms). An Arrow stream says it with its last batch, Parquet in its metadata, each
under `voxledger`.

**How old an answer can be.** It is of a snapshot: a copy of the tables that is made while others go on writing. Nothing is copied
while nobody asks, nor when nothing has changed. The first question waits for the first snapshot; one that finds it older than
`sql.refresh` (60 s) has the next one made and is answered from the one that is there; one that finds it twice as old waits for
the next, up to half a minute. So an answer is at most twice `sql.refresh` old, and what a copy takes; only when copying fails,
the disk being full say, it is older, and says so. The age is 0 while nothing has been recorded since. Snapshots lie in `sql/` of
HOME, take the room of two copies of `catalog.duckdb` at most (none where the file system shares blocks: Btrfs, XFS), never the
last of `general.min_free_disk`, and go with the node. Erasing somebody removes them at once.

`events`, `batches` and `epochs` are the log's own and not in it: `GET /api/events` follows them. On the node's machine
`voxledger sql` goes through the service too, says how old the answer is, and asks the log itself for what a snapshot does not
hold, and with `--fresh` or `--as-of`.

**What holds.** Each query runs in a process of its own, which ends with it and was made before the query came: the snapshot open
read-only, DuckDB's way to files shut, no file of this machine to be opened any more (Landlock, Linux 5.13 on), none to be
written, no new rights, no TCP, no environment. At `sql.time` it is killed; beyond `sql.memory` (and twice `sql.bytes` for the
answer, which is complete before its first byte is sent, so that an error is never in the middle of one) it gets no more memory.
`sql.rows` and `sql.bytes` cut an answer between rows. `sql.at_once` queries run at a time, four times as many answers are made or
sent, ten times as many questions wait for up to 30 s, and the others are asked to come back (503, `Retry-After`). One token has
half of the places at most, those for waiting too. An answer of which less than 1 MB is taken in 60 s breaks off. When the client
goes away, the process goes too. Where a system
enforces no memory limit for one process (macOS, Windows), the service is off and says so; `sql.enabled = false` switches it off.

| code | means |
| --- | --- |
| `query` | not one SELECT, refused before it ran, or DuckDB refused it |
| `query_time` | longer than `sql.time` |
| `query_memory` | more than `sql.memory`, or DuckDB could not go on |
| `not_in_snapshot` | `events`, `batches` or `epochs` |
| `busy` | too many at a time (503) |
| `sql_off` | no service here (501) |

Where an error is about a part of the query, `place` says which: `{"offset": 7, "length": 3}`, in characters.

**For editors.** `GET /api/sql/schema` describes relations, columns and functions; `GET /api/sql` has the limits and the age of the
snapshot, `POST /api/sql/snapshot` has the next one made at once. The console at `/sql` of the node's pages is made of these:
`/sql?q=SELECT…` and `/sql?saved=NAME&param=language=en` open it with a query, which waits to be run.

**Saved queries** lie in `queries/NAME.sql` of HOME, of 100 kB at most; the comment that one begins with describes it. They are
part of backups, as plain text. `GET /api/queries` lists them without their texts, which `GET /api/queries/NAME` has; `PUT` and
`DELETE /api/queries/NAME` save and delete (who saved it, or an admin), `PATCH` gives another name, `GET
/api/queries/NAME/answer?param=language=en&format=csv` asks one, for a spreadsheet say; `POST` takes parameters in the body. """


def settings_page() -> str:
    """Every setting with its default, its variable and what it means."""
    modules = {inspect.getmodule(section.type): None for section in msgspec.structs.fields(settings.Settings)}
    trees = [ast.parse(inspect.getsource(module)) for module in modules if module]
    described: dict[tuple[str, str], str] = {}
    for section in (node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)):
        for here, after in zip(section.body, section.body[1:], strict=False):
            if (
                isinstance(here, ast.AnnAssign)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                described[section.name, ast.unparse(here.target)] = str(after.value.value)
    lines = [
        "# Settings",
        "",
        "The call wins over the environment, the environment over `HOME/voxledger.toml`, the file over the default.",
        "`voxledger config` shows every value and where it comes from. Sizes are written as `500MB` or `2GiB`, spans of time as",
        "`90s`, `15min`, `7d` or `1d12h`.",
        "",
        "```toml",
        "[general]",
        'actor = "radio"',
        "",
        "[store]",
        'endpoint = "http://127.0.0.1:9000"   # any S3 store; without it the embedded one',
        "",
        "[[retention.rules]]",
        'name = "scratch"',
        'tag = "scratch"',
        'keep_for = "3d"',
        "```",
        "",
        "HOME itself is `--home`, or `VOXLEDGER_HOME`, or the data folder of the platform.",
    ]
    for section in msgspec.structs.fields(settings.Settings):
        lines += [
            "",
            f"## {section.name}",
            "",
            inspect.getdoc(section.type) or "",
            "",
            "| setting | default | variable | meaning |",
        ]
        lines += ["| --- | --- | --- | --- |"]
        for field in msgspec.structs.fields(section.type):
            name = f"{section.name}.{field.name}"
            meaning = " ".join(described[section.type.__name__, field.name].split())
            lines.append(f"| `{name}` | {_default(name, field)} | `{settings.variable(name)}` | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(name: str, field: msgspec.structs.FieldInfo) -> str:
    unit = next((meta.extra.get("unit") for meta in getattr(field.type, "__metadata__", ()) if meta.extra), None)
    value = field.default
    if settings.is_secret(name) or value in ("", ()):
        return "–"
    if unit == "seconds":
        return f"`{settings.format_span(value)}`"
    if unit == "bytes":
        return f"`{value // 10**6}MB`"
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def events_page() -> str:
    """Every event type with its fields."""
    lines = [
        "# Events",
        "",
        "An event is a past-tense fact in a CloudEvents 1.0 envelope: `id` (UUIDv7), `source` (node and epoch), `type`, `subject`,",
        "`time`, and beside them `position`, `recorded`, `actor` (an opaque id) and `version`. `data` is what may leave the house:",
        "numbers, categories, opaque ids. Fields marked *sealed* are personal; they are encrypted under the actor's own key",
        "(AES-256-GCM), and destroying that key erases the person from the log without rewriting it.",
    ]
    for name, kind in REGISTRY.items():
        hints = get_type_hints(kind)
        sealed = personal_fields(kind)
        lines += ["", f"## {name}", "", f"Version {kind.version}. {inspect.getdoc(kind)}"]
        if kind.__struct_fields__:
            lines += ["", "| field | type | |", "| --- | --- | --- |"]
            lines += [
                f"| `{field}` | {_type(hints[field])} | {'sealed' if field in sealed else ''} |"
                for field in kind.__struct_fields__
            ]
    return "\n".join(lines) + "\n"


def _type(hint: object) -> str:
    shown = (
        getattr(hint, "__name__", str(hint)) if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    )
    shown = re.sub(r"voxledger\.[\w.]*\.", "", shown.replace("typing.", "")).replace("datetime.datetime", "datetime")
    shown = re.sub(r"Optional\[(.+)\]$", r"\1 | None", shown).replace(" | None", " or null")
    shown = re.sub(r"Literal\[(.+)\]", lambda found: found[1].replace("'", "").replace(", ", " · "), shown).replace(
        "|", "\\|"
    )
    return "eight floats" if shown.count("float") == 8 else shown


_THEMES = {
    "generations": "Use and speed",
    "users": "Users",
    "adopters": "Features taken up and dropped",
    "reuses": "What reuse saves",
    "plays": "Plays",
    "clips": "How far clips get",
    "storage": "What came and went",
    "present": "What is there now",
    "uploads": "Uploads",
    "costs": "Cost",
}
_UNITS = {"us": "µs", "ratio": "ratio", "share": "0 to 1", "micro": "millionths of the currency"}


def metrics_page() -> str:
    """Every metric with its unit and what it means, and by what it can be told apart."""
    lines = [
        "# Metrics",
        "",
        "Each metric is defined once, as an SQL aggregate over the relations of [sql.md](sql.md), and used by the weekly report, the",
        "pages, and `voxledger metrics`. `voxledger metrics NAME --sql` prints the very query behind a number; `voxledger sql` answers it",
        "as it stands.",
        "",
        "```",
        "voxledger metrics clips --week 2026-W47 --by emotion",
        "voxledger metrics reuse_rate saved_gpu_us --since 2026-10-01 --every week",
        "voxledger metrics cost_micro --by part --by item --sql",
        "```",
        "",
        "```python",
        "from voxledger.analytics import metrics",
        "",
        "with vox.catalog.keeper.reading() as reading:",
        '    metrics.measure(reading, ["clips", "reuse_rate"], start, stop)  # {"clips": 412, "reuse_rate": 0.31}',
        '    metrics.breakdown(reading, ["clips", "clip_share"], start, stop, by=["emotion"])  # the largest group first',
        '    metrics.series(reading, ["clips"], start, stop, every="week", zone="Europe/Berlin")  # a row a week, from one scan',
        '    metrics.explain("clips", start, stop, by=["emotion"])  # the SQL of it',
        "    metrics.cohorts(reading, stop), metrics.funnel(reading, start, stop), metrics.forecast(reading, stop)",
        "```",
        "",
        "A period holds its start and not its end. What cannot be told, such as a share of nothing, is `None`; what is counted or",
        "summed is a whole number. Shares are told by group: of all groups together they are 1, unless one thing may be in several.",
        "Prices are settings: `prices.gb_month`, `prices.uploads` and `[[prices.devices]]`, in `prices.currency`",
        "([settings.md](settings.md)).",
    ]
    for source, theme in _THEMES.items():
        ways = metrics.dimensions_of(source)
        lines += ["", f"## {theme}", ""]
        lines += [
            f"By {', '.join(f'`{way}`' for way in ways)}."
            if ways
            else "Only as a whole, or day by day and week by week.",
            "",
        ]
        lines += ["| metric | unit | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{one.name}` | {_UNITS.get(one.unit, one.unit)} | {one.definition} |"
            for one in metrics.METRICS.values()
            if one.source == source
        ]
    lines += ["", "## Dimensions", "", "| dimension | meaning |", "| --- | --- |"]
    lines += [f"| `{one.name}` | {one.definition} |" for one in metrics.DIMENSIONS.values()]
    lines += [
        "",
        "## Tables",
        "",
        "| table | what it tells |",
        "| --- | --- |",
    ]
    lines += [
        f"| `{table.__name__}` | {' '.join((inspect.getdoc(table) or '').split(chr(10) * 2)[0].split())} |"
        for table in (metrics.cohorts, metrics.funnel, metrics.forecast)
    ]
    lines += [
        "",
        "## When a number says something",
        "",
        "`voxledger.analytics.statistics` decides, and a report claims nothing without it: proportions are compared by the two-proportion",
        "test, with Newcombe's interval made of Wilson's; a week's number with the eight weeks before it by a robust z (median and median",
        "absolute deviation), whose p is that of few values and not of the normal distribution; many findings at once by Benjamini and",
        "Hochberg; trends by Theil and Sen. Under 30 observations, eight weeks or four points it says",
        '"insufficient data". Tests hold each of them against SciPy and statsmodels.',
    ]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command with its first sentence and its examples."""
    app = build()
    lines = ["# Commands", "", "Each command says more with `--help`; `--json` is for machines."]
    for words, command in _commands(app):
        doc = inspect.getdoc(command) or ""
        examples = doc.partition("**Examples**")[2].partition("Parameters\n")[0]
        about = doc.partition("**Examples**")[0].strip()
        lines += ["", f"## voxledger {words}", "", about, "", "```", inspect.cleandoc(examples).strip(), "```"]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """What people wrote, and below it every route that a node describes."""
    with tempfile.TemporaryDirectory() as folder, voxledger.open(Path(folder) / "home") as ledger:
        document = build_app(Site(ledger, version=voxledger.__version__, loopback=True)).openapi()
    written = (HERE / "api.md").read_text(encoding="utf-8").partition(_ROUTES)[0]
    lines = ["| route | what it does | permission |", "| --- | --- | --- |"]
    for path, method, operation in operations(document):
        needed = operation.get("x-permission")
        who = f"`{needed}`" if needed else ("any token" if operation.get("security") else "nobody asks")
        lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {who} |")
    return f"{written}{_ROUTES}\n" + "\n".join(lines) + "\n"


_ROUTES = "## All routes\n"


def _commands(app: App, before: str = "") -> Iterator[tuple[str, object]]:
    """Every command by its words, those of groups within groups too."""
    for name in sorted(each for each in app if not each.startswith("-")):
        words = f"{before} {name}".strip()
        if app[name].default_command:
            yield words, app[name].default_command
        yield from _commands(app[name], words)


def pages() -> dict[Path, str]:
    """The pages as they should be."""
    return {
        HERE / "sql.md": sql_page(),
        HERE / "settings.md": settings_page(),
        HERE / "events.md": events_page(),
        HERE / "metrics.md": metrics_page(),
        HERE / "commands.md": commands_page(),
        HERE / "api.md": api_page(),
    }


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
        print(path)
