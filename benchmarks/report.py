"""The weekly report over ten million generations, beside reading the columns it needs, and beside fetching rows to count in Polars.

    python benchmarks/report.py [GENERATIONS]

Seeded catalogs are written straight into the real tables, with a log of as many events: one spread over a year, and a busy one, nearly
all of which happened within the nine weeks that a report looks at. A tenth of the generations are reused, failed or cancelled; 20,000
people, 100 voices, 8 languages, two engines on five devices. Every figure is the best of three, in a process of its own: seconds on
the clock, seconds of processor time (what counts while others work on the machine), and resident memory. The exit status is 1 when
the report needs more than its bar.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from voxledger.analytics import metrics
from voxledger.analytics.report import Week, build
from voxledger.catalog import projections
from voxledger.catalog.duckdb_files import MEMORY, ROW_GROUP
from voxledger.catalog.log import Reading
from voxledger.catalog.queries import load
from voxledger.catalog.settings import Settings

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
WEEK = Week.parse("2026-W47")
SPANS = {"a year": 365, "nine weeks": 66}
BAR, ROOM = 2.0, 2e9
_STEP = 1_000_000
_ROUNDS = 3
_EMOTIONS = "['happy', 'angry', 'sad', 'afraid', 'disgusted', 'melancholic', 'surprised', 'calm']"
_GONE = "CASE WHEN hash(i, 34) % 4 = 0 AND made < $now - INTERVAL 30 DAYS THEN made + INTERVAL 30 DAYS END"
CLIPS = {
    "id": "(substr(stamp, 1, 8) || '-' || substr(stamp, 9, 4) || '-7' || lpad(hex(i % 4096), 3, '0') || '-8' ||"
    " substr(md5(i::VARCHAR), 1, 3) || '-' || substr(md5(i::VARCHAR), 4, 12))::UUID",
    "position": "i", "created": "made", "tail": "hash(i) % 4294967295", "actor": "'actor' || who", "actor_id": "'a' || who",
    "session": "'s' || (i // 100)", "text_length": "20 + hash(i, 2) % 200",
    "channel": "['python', 'api', 'cli', 'web', 'batch'][(1 + hash(i, 21) % 5)::BIGINT]",
    "features": "[['emotion'], ['emotion', 'voice'], ['emotion', 'tags'], ['emotion', 'voice', 'marks']][(1 + hash(i, 22) % 4)::BIGINT]",
    "engine": "CASE WHEN hash(i, 23) % 10 < 7 THEN 'indextts' ELSE 'espeak' END", "engine_version": "'2.5'",
    "model": "CASE WHEN hash(i, 23) % 10 < 7 THEN 'indextts-2.5' ELSE 'espeak-ng' END", "model_revision": "'r' || (hash(i, 24) % 3)",
    "device": "CASE WHEN hash(i, 23) % 10 < 7 THEN 'cuda:' || (hash(i, 25) % 4) ELSE 'cpu' END", "determinism": "'seeded'",
    "language": "['en', 'de', 'fr', 'zh', 'ja', 'es', 'en-GB', 'pt'][(1 + hash(i, 26) % 8)::BIGINT]",
    "voice": "'voice' || (hash(i, 3) % 100)", "voice_sha256": "md5((hash(i, 3) % 100)::VARCHAR)", "emotion_mode": "'vector'",
    "emotion": f"{_EMOTIONS}[(1 + least(hash(i, 4) % 9, 7))::BIGINT]", "emotion_strength": "1.0",
    "emotion_effective": "[(hash(i, 27) % 100) / 100, 0, 0, 0, 0.1, 0, 0, 0]::DOUBLE[8]", "dropped": "[]", "take": "1",
    "format": "'wav'", "sample_rate": "22050", "channels": "1", "segments": "1", "duration_us": "1000000 + hash(i, 5) % 20000000",
    "bytes": "44000 + hash(i, 6) % 900000", "loudness_lufs": "-16.0 + (hash(i, 7) % 100) / 25.0",
    "suspect": "CASE WHEN hash(i, 8) % 50 = 0 THEN ['clipped'] ELSE [] END", "queue_us": "hash(i, 28) % 500000", "load_us": "0",
    "synthesis_us": "300000 + hash(i, 29) % 9000000", "audio_us": "3000 + hash(i, 30) % 9000", "encode_us": "500 + hash(i, 31) % 700",
    "first_us": "100000 + hash(i, 32) % 500000", "streamed": "hash(i, 33) % 3 = 0", "segments_cached": "0",
    "sha256": "unhex(repeat('ab', 32))", "bucket": "'indextts-audio'", "key": "'k/' || chr(1) || '.wav'", "pinned": "false", "ratings": "0",
    "plays": "CASE WHEN hash(i, 51) % 10 = 0 THEN 1 ELSE 0 END", "reuses": "0", "last_used": "made", "cached": "true",
    "stored": "made + INTERVAL 3 SECONDS", "holds": "0", "legal_holds": "0", "changed": "i", "purged": _GONE, "purge_started": _GONE,
    "mark_rule": "CASE WHEN hash(i, 34) % 4 = 0 THEN 'old' END",
    "delete_after": "CASE WHEN hash(i, 34) % 4 = 0 AND made BETWEEN $now - INTERVAL 30 DAYS AND $now - INTERVAL 20 DAYS"
    " THEN made + INTERVAL 30 DAYS END",
}  # fmt: skip
_MADE = (
    "SELECT i, $now - to_seconds(((1 - i / $count) * $days * 86400)::BIGINT) AS made FROM range($first, $last) AS t(i)"
)
ATTEMPTS = f"""
INSERT INTO catalog.folded.attempts BY NAME
SELECT $clips + i AS position, made AS time,
    ['reused', 'reused', 'reused', 'failed', 'cancelled'][(1 + hash(i, 41) % 5)::BIGINT] AS outcome,
    uuid() AS clip, 'actor' || (hash(i, 1) % 20000) AS actor, 'a' || (hash(i, 1) % 20000) AS actor_id, 'api' AS channel,
    ['emotion', 'tags'] AS features, 'indextts' AS engine, CASE WHEN hash(i, 42) % 5 > 0 THEN 'en' END AS language, 'happy' AS emotion,
    40 AS text_length, 1000000 + hash(i, 5) % 20000000 AS duration_us, hash(i, 5) % 200000 AS elapsed_us,
    hash(i, 6) % 9000000 AS saved_us,
    CASE WHEN hash(i, 41) % 5 = 3 THEN ['timeout', 'engine_failed', 'text_too_long'][(1 + hash(i, 43) % 3)::BIGINT] END AS failure,
    CASE WHEN hash(i, 41) % 5 = 3 THEN 'synthesis' END AS stage
FROM ({_MADE})
"""
REUSED = """
UPDATE catalog.folded.attempts SET clip = made.id FROM catalog.folded.clips AS made
WHERE outcome = 'reused' AND made.position = attempts.position - $clips
"""
PLAYS = """
INSERT INTO catalog.folded.plays BY NAME
SELECT position, created + INTERVAL 1 HOUR AS time, id AS clip, actor_id, 'api' AS channel, 'play' AS purpose
FROM catalog.folded.clips WHERE plays > 0 ORDER BY position
"""
_UPLOADS = """
INSERT INTO catalog.folded.uploads BY NAME
SELECT position, stored AS time, id AS clip, actor_id, 'stored' AS outcome, bucket, bytes, 1 AS attempts
FROM catalog.folded.clips ORDER BY position
"""
_EVENTS = f"""
INSERT INTO log.events BY NAME
SELECT i + 1 AS position, uuid() AS id, 'node/epoch' AS source, 'GenerationCompleted' AS type, i::VARCHAR AS subject, made AS time,
    made + INTERVAL 2 SECONDS AS recorded, 'a' || (hash(i, 1) % 20000) AS actor, 1 AS version, '{{}}' AS data, ''::BLOB AS digest
FROM ({_MADE}) ORDER BY i
"""
_LIMIT = """
SELECT count(*), max(outcome), max(actor_id), max(language), max(channel), max(engine), max(device), max(emotion), max(voice),
    sum(len(features)), sum(len(suspect)), sum(duration_us), sum(synthesis_us), sum(queue_us), sum(elapsed_us), sum(saved_us),
    sum(emotion_effective[1]), max(failure)
FROM generations WHERE time >= $start AND time < $stop
"""
_WHOLE = "SELECT actor_id, min(time) FROM generations WHERE time < $stop GROUP BY actor_id"
_PRESENT = "SELECT sum(bytes), min(stored), max(delete_after), min(created) FROM clips WHERE purge_started IS NULL AND purged IS NULL"
_FETCHED = """
SELECT time, outcome, actor_id, channel, features, engine, device, language, voice, emotion, duration_us, queue_us, synthesis_us,
    elapsed_us, saved_us, failure, stage, len(suspect) > 0 AS suspect
FROM generations WHERE time >= $start AND time < $stop
"""
console = Console()


def fill(folder: Path, generations: int, days: int) -> None:
    """Write the catalog and the log."""
    clips = generations * 9 // 10
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{folder / 'catalog.duckdb'}' AS catalog (ROW_GROUP_SIZE {ROW_GROUP})")
        connection.execute(f"ATTACH '{folder / 'log.duckdb'}' AS log (ROW_GROUP_SIZE {ROW_GROUP})")
        projections.create(connection)
        connection.execute(load("log.sql", "voxledger.catalog.log")["schema"])
        names = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'clips' AND schema_name = 'folded' ORDER BY column_index"
        ).fetchall()
        values = ", ".join(f"{CLIPS.get(name, 'NULL')} AS {name}" for (name,) in names)
        who = "(floor(20000 * pow((hash(i, 1) % 100000) / 100000, 2)) + floor(i / $count * 2000))::BIGINT AS who"
        insert = (
            f"INSERT INTO catalog.folded.clips BY NAME SELECT {values} FROM ("
            f"SELECT *, lpad(hex(epoch_ms(made)), 12, '0') AS stamp, {who} FROM ({_MADE}))"
        )
        for statement, count in ((insert, clips), (_EVENTS, generations)):
            for start in range(0, count, _STEP):
                more = {"now": NOW, "count": count, "days": days, "first": start, "last": min(start + _STEP, count)}
                connection.execute(statement, more)
        few = generations - clips
        connection.execute(ATTEMPTS, {"now": NOW, "count": few, "days": days, "first": 0, "last": few, "clips": clips})
        connection.execute(REUSED, {"clips": clips})
        connection.execute(PLAYS)
        connection.execute(_UPLOADS)
        connection.execute("UPDATE catalog.projections SET position = $1", (generations,))
        connection.execute("CHECKPOINT catalog")
        connection.execute("CHECKPOINT log")


@contextmanager
def opened(folder: Path) -> Iterator[Reading]:
    """The catalog and the log as a HOME opens them."""
    config = {"memory_limit": MEMORY, "temp_directory": str(folder / "spill")}
    with duckdb.connect(":memory:", config=config) as connection:
        for name in ("catalog", "log"):
            connection.execute(f"ATTACH '{folder / name}.duckdb' AS {name} (READ_ONLY)")
        connection.execute("SET search_path = 'catalog,log'")
        connection.execute("SET TimeZone = 'UTC'")

        def ask(query: str, parameters: Any) -> pa.Table:
            return connection.sql(query, params=parameters).to_arrow_table()

        yield Reading(ask)


def report(folder: Path) -> None:
    """The whole report, as `voxledger report weekly` makes it."""
    journal = SimpleNamespace(cursor=lambda name: 0)
    keeper = SimpleNamespace(reading=lambda **_: opened(folder), home=SimpleNamespace(cache=folder), journal=journal)
    made = build(keeper, Settings(), week=WEEK, now=NOW)  # type: ignore[arg-type]  # all it asks of a keeper
    assert not made.empty


def every_metric(folder: Path) -> None:
    """Each metric of the week, and what can be told week by week for nine of them."""
    with opened(folder) as reading:
        metrics.measure(reading, list(metrics.METRICS), WEEK.start, WEEK.end)
        for source in ("generations", "users", "storage"):
            names = [one.name for one in metrics.METRICS.values() if one.source == source and one.of is None]
            metrics.series(reading, names, WEEK.previous(8).start, WEEK.end, every="week")
        metrics.cohorts(reading, WEEK.end)
        metrics.forecast(reading, WEEK.end)


def limit(folder: Path) -> None:
    """Reading once what a report is about: the rows of nine weeks, who came when, and the clips that are there."""
    weeks = {"start": WEEK.previous(8).start, "stop": WEEK.end}
    with opened(folder) as reading:
        reading.table(_LIMIT, weeks)
        reading.table(_WHOLE, {"stop": WEEK.end})
        reading.table(_PRESENT)


def in_polars(folder: Path) -> None:
    """The usual script: fetch the rows of nine weeks, count in Polars; less than the report has, and no storage."""
    with opened(folder) as reading:
        seen = reading.frame(_WHOLE, {"stop": WEEK.end}).rename({'min("time")': "first"})
        rows = reading.frame(_FETCHED, {"start": WEEK.previous(8).start, "stop": WEEK.end})
    done = pl.col("outcome") == "completed"
    factor = (pl.col("synthesis_us") / pl.col("duration_us")).filter(done)
    numbers = [
        pl.len(), done.sum().alias("clips"), pl.col("duration_us").filter(done).sum(), pl.col("actor_id").n_unique().alias("users"),
        (pl.col("outcome") == "failed").sum().alias("failed"), pl.col("saved_us").sum(), factor.quantile(0.95).alias("rtf_p95"),
        pl.col("queue_us").filter(done).quantile(0.95).alias("queue_p95"),
    ]  # fmt: skip
    weeks = rows.join(seen, on="actor_id").group_by(pl.col("time").dt.truncate("1w")).agg(
        *numbers, pl.col("actor_id").filter(pl.col("first") >= pl.col("time").dt.truncate("1w")).n_unique().alias("new")
    )  # fmt: skip
    assert weeks.height >= 9
    for since in (WEEK.start, WEEK.previous().start):
        week = rows.filter((pl.col("time") >= since) & (pl.col("time") < since + timedelta(weeks=1)))
        for by in ("channel", "language", "emotion", "engine", "device", "voice", "failure", "actor_id"):
            week.group_by(by).agg(*numbers)
        week.explode("features").group_by("features").agg(*numbers)


STEPS: dict[str, Callable[[Path], None]] = {
    "the weekly report": report,
    "every metric, nine weeks, cohorts, forecast": every_metric,
    "reading the columns once (the limit)": limit,
    "rows fetched, counted in Polars": in_polars,
}


def measured(folder: Path, what: str) -> None:
    """The best of some rounds, in this process alone."""
    best = (float("inf"), float("inf"))
    for _ in range(_ROUNDS):
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        STEPS[what](folder)
        after = resource.getrusage(resource.RUSAGE_SELF)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = (min(best[0], time.perf_counter() - began), min(best[1], busy))
    print(*best, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--one"]:
        measured(Path(sys.argv[2]), sys.argv[3])
        return
    generations = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    missed = []
    table = Table("spread over", "what", "seconds", "processor", "of the limit", "memory")
    for span, days in SPANS.items():
        with tempfile.TemporaryDirectory(prefix="voxledger-report-") as name:
            folder = Path(name)
            fill(folder, generations, days)
            size = sum(file.stat().st_size for file in folder.glob("*.duckdb"))
            console.print(f"{generations:,} generations over {span}, {size / 1e6:,.0f} MB of tables and log")
            found = {}
            for what in STEPS:
                said = subprocess.run(
                    [sys.executable, "-W", "ignore", __file__, "--one", str(folder), what],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout.split()
                found[what] = [float(part) for part in said]
            took, _, memory = found["the weekly report"]
            if took > BAR or memory > ROOM:
                missed.append(f"over {span}, {took:.2f} s and {memory / 1e9:.2f} GB")
            least = found["reading the columns once (the limit)"][1]
            for what, (took, busy, memory) in found.items():
                table.add_row(span, what, f"{took:.2f}", f"{busy:.2f}", f"{busy / least:.1f}", f"{memory / 1e9:.2f} GB")
    console.print(table)
    console.print(f"the bar of the report: {BAR:g} s and {ROOM / 1e9:g} GB")
    if missed:
        sys.exit(f"the bar of the report is missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
