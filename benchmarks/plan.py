"""A retention plan of many clips, beside reading the columns that it needs, and beside fetching them to decide in Polars.

    python benchmarks/plan.py [CLIPS]

A seeded catalog is written straight into the real tables: 100 voices, 8 emotions, 200 actors, sessions of 100 clips, a tenth tagged
`scratch`, a year of ages, one clip of 300 marked. What is planned is what docs/retention.md shows: two expire rules, with keep rules,
and with a budget that is exceeded. The limit is one SELECT that sums up the same columns, which no plan can do without.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from voxledger.catalog import projections
from voxledger.catalog.duckdb_files import MEMORY, ROW_GROUP
from voxledger.catalog.log import Reading
from voxledger.catalog.retention.planning.planner import make
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import Best, Budget, ExpireRule, KeepRule, Newest
from voxledger.catalog.settings import Retention as Section

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
_DAY = 86400.0
_STEP = 1_000_000
_RULES = (
    ExpireRule(name="scratch", keep_for=3 * _DAY, match="bucket = 'indextts-cache' OR list_contains(tags, 'scratch')"),
    ExpireRule(name="old", keep_for=300 * _DAY, match="rating IS NULL OR rating < 3"),
)
_RATED = KeepRule(name="rated", rated=4)
_BEST = KeepRule(name="best", best=Best(n=3, per=("voice", "emotion"), by="rating DESC, plays DESC"))
_NEWEST = KeepRule(name="newest", newest=Newest(n=10, per=("session",)))
_SLOW = tuple(msgspec.structs.replace(rule, keep_for=340 * _DAY) for rule in _RULES)
POLICIES = {
    "a night like any other": Section(rules=_SLOW, keep=(_RATED,)),
    "two expire rules": Section(rules=_RULES, keep=(_RATED,)),
    "+ best 3 of each voice and emotion": Section(rules=_RULES, keep=(_RATED, _BEST)),
    "+ newest 10 of each session, a budget": Section(
        rules=_RULES, keep=(_RATED, _BEST, _NEWEST), budgets=(Budget(bucket="indextts-audio", max_bytes=270_000),)
    ),
}
_COLUMNS = (
    "id, created, last_used, bytes, duration_us, bucket, tags, rating, plays, reuses, pinned, holds, legal_holds, held_until,"
    " delete_after, restored, purge_started, purged"
)
_LIMIT = """
SELECT count(*), max(created), max(last_used), sum(bytes), sum(duration_us), count(*) FILTER (bucket = 'indextts-cache'),
    count(*) FILTER (list_contains(tags, 'scratch')), sum(rating), sum(plays), sum(reuses), count(*) FILTER (pinned), sum(holds),
    sum(legal_holds), max(held_until), max(delete_after), max(restored), max(purge_started), max(id)
FROM clips WHERE purged IS NULL
"""
_FILLED = {
    "id": "(substr(stamp, 1, 8) || '-' || substr(stamp, 9, 4) || '-7' || lpad(hex(i % 4096), 3, '0') || '-8' ||"
    " substr(md5(i::VARCHAR), 1, 3) || '-' || substr(md5(i::VARCHAR), 4, 12))::UUID",
    "position": "i", "created": "made", "tail": "hash(i) % 4294967295", "actor": "'actor' || (hash(i, 1) % 200)",
    "actor_id": "'a' || (hash(i, 1) % 200)", "session": "'s' || (i // 100)", "channel": "'python'", "engine": "'indextts'",
    "language": "'en'", "voice": "'voice' || (hash(i, 3) % 100)", "voice_sha256": "md5((hash(i, 3) % 100)::VARCHAR)",
    "emotion": "['happy', 'angry', 'sad', 'afraid', 'disgusted', 'melancholic', 'surprised', 'calm'][(1 + hash(i, 4) % 8)::BIGINT]",
    "duration_us": "1000000 + hash(i, 5) % 20000000", "bytes": "44000 + hash(i, 6) % 900000", "suspect": "[]",
    "bucket": "CASE WHEN hash(i, 9) % 10 < 3 THEN 'indextts-cache' ELSE 'indextts-audio' END", "key": "'k/' || chr(1) || '.wav'",
    "tags": "CASE hash(i, 10) % 10 WHEN 0 THEN '[\"scratch\"]' WHEN 1 THEN '[\"demo\",\"master\"]' END",
    "pinned": "hash(i, 11) % 100 = 0", "rating": "CASE WHEN hash(i, 12) % 20 = 0 THEN 1 + hash(i, 13) % 5 END", "ratings": "0",
    "plays": "CASE WHEN hash(i, 14) % 5 = 0 THEN hash(i, 15) % 20 ELSE 0 END", "reuses": "0",
    "last_used": "least(made + to_days((hash(i, 16) % 100)::INTEGER), $now)", "cached": "true", "stored": "made",
    "holds": "CASE WHEN hash(i, 17) % 200 = 0 THEN 1 ELSE 0 END", "legal_holds": "0", "changed": "i",
    "mark_rule": "CASE WHEN hash(i, 19) % 300 = 0 THEN 'scratch' END",
    "delete_after": "CASE WHEN hash(i, 19) % 300 = 0 THEN $now + INTERVAL 2 DAYS END",
}  # fmt: skip
console = Console()


def fill(path: Path, clips: int, more: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the catalog; `more` are further columns, in SQL over `i`."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{path}' AS catalog (ROW_GROUP_SIZE {ROW_GROUP})")
        projections.create(connection)
        names = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'clips' AND schema_name = 'folded' ORDER BY column_index"
        ).fetchall()
        filled = {**_FILLED, **more}
        values = ", ".join(f"{filled.get(name, 'NULL')} AS {name}" for (name,) in names)
        for start in range(0, clips, _STEP):
            connection.execute(
                f"INSERT INTO catalog.folded.clips BY NAME SELECT {values} FROM ("
                " SELECT i, lpad(hex(epoch_ms(made)), 12, '0') AS stamp, made FROM ("
                "  SELECT i, $now - to_seconds(((1 - i / $clips) * 365 * 86400)::BIGINT) AS made FROM range($first, $last) AS t(i)))",
                {"now": NOW, "clips": clips, "first": start, "last": min(start + _STEP, clips)},
            )
        connection.execute("UPDATE catalog.projections SET position = $1", (clips,))
        connection.execute("CHECKPOINT catalog")


def opened(path: Path) -> tuple[duckdb.DuckDBPyConnection, Reading]:
    """The catalog as a HOME opens it, with an empty log beside it."""
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": MEMORY, "temp_directory": str(path.parent / "spill")}
    )
    connection.execute(f"ATTACH '{path}' AS catalog (READ_ONLY)")
    connection.execute("USE catalog")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TEMP TABLE events (type VARCHAR, version SMALLINT, subject VARCHAR, data VARCHAR, recorded TIMESTAMPTZ)"
    )

    def ask(query: str, parameters: Any) -> pa.Table:
        return connection.sql(query, params=parameters).to_arrow_table()

    return connection, Reading(ask)


def timed(work: Any) -> tuple[float, float, Any]:
    """The better of two, in seconds and in CPU seconds."""
    best, least, found = float("inf"), float("inf"), None
    for _ in range(2):
        found = None  # a process makes one plan, and does not hold another one meanwhile
        began, used = time.perf_counter(), time.process_time()
        found = work()
        best, least = min(best, time.perf_counter() - began), min(least, time.process_time() - used)
    return best, least, found


def in_polars(connection: duckdb.DuckDBPyConnection) -> int:
    """The first policy as a script would do it: fetch what is needed, decide in Polars."""
    found = connection.sql(f"SELECT {_COLUMNS} FROM clips WHERE purged IS NULL").to_arrow_table()
    frame = pl.DataFrame(found)
    now = pl.lit(NOW, pl.Datetime("us", "UTC"))
    scratch = (pl.col("bucket") == "indextts-cache") | pl.col("tags").list.contains("scratch")
    old = pl.col("rating").is_null() | (pl.col("rating") < 3)
    span = pl.when(scratch).then(pl.duration(days=3)).when(old).then(pl.duration(days=300))
    kept = pl.col("pinned") | (pl.col("holds") > 0) | (pl.col("rating") >= 4).fill_null(value=False)
    goes = (pl.col("last_used") + span <= now) & (pl.col("created") + pl.duration(days=2) <= now) & ~kept
    return frame.lazy().filter(goes).select("id", "bytes").collect().height


def measured(path: Path, what: str) -> None:
    """One measurement in a process of its own, so that its memory is its own."""
    connection, reading = opened(path)
    connection.sql(_LIMIT).to_arrow_table()
    limit, _, _ = timed(lambda: connection.sql(_LIMIT).to_arrow_table())
    if what == "polars":
        took, used, condemned = timed(lambda: in_polars(connection))
    else:
        clips = connection.sql("SELECT count(*) FROM clips").fetchall()[0][0]
        section = POLICIES[what]
        budgets = tuple(Budget(bucket=one.bucket, max_bytes=one.max_bytes * clips) for one in section.budgets)
        policy = Policy.of(Section(rules=section.rules, keep=section.keep, budgets=budgets))
        took, used, plan = timed(lambda: make(reading, policy, NOW))
        condemned = plan.condemned.clips
    print(took, used, limit, condemned, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--one"]:
        measured(Path(sys.argv[2]), sys.argv[3])
        return
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(prefix="voxledger-plan-") as folder:
        path = Path(folder) / "catalog.duckdb"
        fill(path, clips)
        console.print(f"{clips:,} clips, {path.stat().st_size / 1e6:,.0f} MB of tables")
        table = Table("plan", "seconds", "CPU seconds", "of the limit", "condemned", "memory")
        for what in (*POLICIES, "polars"):
            said = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--one", str(path), what],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            took, used, limit, condemned, memory = (float(part) for part in said)
            name = "two expire rules, fetched and decided in Polars" if what == "polars" else what
            table.add_row(
                name, f"{took:.2f}", f"{used:.2f}", f"{limit / took:.2f}", f"{condemned:,.0f}", f"{memory / 1e9:.2f} GB"
            )
        console.print(table)
        console.print(f"the limit: reading and summing up the same columns, {limit:.2f} s")


if __name__ == "__main__":
    main()
