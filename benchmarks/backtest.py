"""Backtests of many events: one policy, a family of 20, and the baselines; beside them a plain loop, and reading the data at all.

    python benchmarks/backtest.py [EVENTS]

The log and the tables of a HOME are filled with a seeded year of a studio: two of five events make a clip, sizes vary by twenty, some
clips are wanted a hundred times as often as others (Zipf), and what is young is wanted most. Everything else is as in real life: the
same SELECTs on the same files. The peer replays the same policy, one clip after the other, in a loop in Python.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.building import Parts
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.retention.backtest import Asked, Backtest, Family, backtest
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import ExpireRule, KeepRule, Retention

_START = datetime(2025, 1, 1, tzinfo=UTC)
_YEAR = 365 * 86400
_DAY_US = 86_400_000_000
_FILL = """
CREATE TEMP TABLE happenings AS
SELECT row_number() OVER (ORDER BY second, clip, made DESC) AS position, clip, made, {start} + to_seconds(second) AS time
FROM (
    SELECT i AS clip, true AS made, (i * {year} // {clips})::BIGINT AS second FROM range({clips}) AS t(i)
    UNION ALL
    SELECT clip, false, (clip * {year} // {clips})::BIGINT + 60 + (pow({year}, hash(i, 2) % 1000003 / 1000003.0))::BIGINT AS second FROM (
        SELECT i, (hash((pow({clips}, hash(i, 1) % 1000003 / 1000003.0))::BIGINT, 7) % {clips})::BIGINT AS clip FROM range({uses}) AS t(i)))
WHERE second < {year};
CREATE MACRO clip_id(n) AS (printf('%08x', n // 65536) || '-' || printf('%04x', n % 65536) || '-7000-8000-' || printf('%012x', n))::UUID;
INSERT INTO log.events BY NAME
SELECT position, clip_id(position) AS id, 'bench/1' AS source, CASE WHEN made THEN 'GenerationCompleted' ELSE 'AudioAccessed' END AS type,
    clip_id(clip)::VARCHAR AS subject, time, time AS recorded, 'ann' AS actor, 1 AS version, '{{}}' AS data, ''::BLOB AS digest
FROM happenings ORDER BY position;
INSERT INTO catalog.folded.plays BY NAME
SELECT position, time, clip_id(clip) AS clip, 'ann' AS actor_id, 'web' AS channel, 'play' AS purpose
FROM happenings WHERE NOT made ORDER BY position;
INSERT INTO catalog.folded.changes BY NAME
SELECT position, previous, time AS recorded, clip_id(clip) AS clip, 'AudioAccessed' AS kind, 'ann' AS actor_id, false AS pinned,
    0 AS ratings, plays, 0 AS reuses, last_used, true AS cached
FROM (
    SELECT *, lag(position) OVER life AS previous, lag(time) OVER life AS last_used, row_number() OVER life - 2 AS plays
    FROM happenings WINDOW life AS (PARTITION BY clip ORDER BY position))
WHERE NOT made AND previous IS NOT NULL ORDER BY position;
INSERT INTO catalog.folded.clips BY NAME
SELECT clip_id(clip) AS id, min(position) AS position, min(time) AS created, (clip % 4294967295)::UINTEGER AS tail, 'ann' AS actor_id,
    'indextts-audio' AS bucket, CASE WHEN clip % 5 = 0 THEN '["scratch"]' END AS tags, false AS pinned, 0 AS ratings, count(*) - 1 AS plays,
    0 AS reuses, max(time) AS last_used, true AS cached, 0 AS holds, 0 AS legal_holds, max(position) AS changed,
    (20000 + hash(clip) % 380000)::BIGINT AS bytes
FROM happenings GROUP BY clip ORDER BY position;
"""
_TABLES = {
    "changes": "SELECT position, recorded, clip, kind, pinned, plays, last_used FROM changes",
    "clips": "SELECT id, created, bytes, bucket, last_used FROM clips",
}


class Filled:
    """A HOME whose log was never drained through a journal: it is read as it is."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """As Keeper.reading."""
        with self._keeper.reading(fresh=False) as reading:
            yield reading


def fill(parts: Parts, events: int) -> None:
    """Write log and tables at once."""
    parts.keeper.drain()
    clips = events * 2 // 5
    with parts.keeper._files.writing(60) as connection:  # the files, without the journal before them
        start = f"TIMESTAMPTZ '{_START.isoformat()}'"
        # What would fall after the year's end is left out: more is drawn.
        connection.execute(_FILL.format(start=start, year=_YEAR, clips=clips, uses=int((events - clips) * 1.09)))


def loop(keeper: Filled, keep_for: timedelta) -> tuple[int, int]:
    """The peer: every clip's uses in order, and what one rule for all would have done. Gives purges and regrets."""
    keep, end = keep_for // timedelta(microseconds=1), int((_START + timedelta(seconds=_YEAR)).timestamp() * 1e6)
    with keeper.reading() as reading:
        found = reading.table(
            "SELECT clips.position AS clip, epoch_us(plays.time) AS time FROM plays JOIN clips ON clips.id = plays.clip"
            " UNION ALL SELECT position, epoch_us(created) FROM clips ORDER BY clip, time"
        )
        origin = int(reading.tuples("SELECT epoch_us(min(created)) FROM clips")[0][0])
    names, times = found["clip"].to_pylist(), found["time"].to_pylist()
    purges = regrets = 0
    last = len(names) - 1
    for at, (clip, time_) in enumerate(zip(names, times, strict=True)):
        used = at < last and names[at + 1] == clip
        marked = -(-(time_ + keep - origin) // _DAY_US)
        if origin + (marked + 1) * _DAY_US < (times[at + 1] if used else end):
            purges += 1
            regrets += used
    return purges, regrets


def _policy(*keep: KeepRule) -> Policy:
    rules = (
        ExpireRule(
            name="scratch", match="bucket = 'indextts-cache' OR list_contains(tags, 'scratch')", keep_for=3 * 86400.0
        ),
        ExpireRule(name="all", match="all", keep_for=30 * 86400.0),
    )
    return Policy.of(Retention(rules=rules, keep=keep))


def _simple() -> Policy:
    rule = ExpireRule(name="all", match="all", keep_for=30 * 86400.0)
    return Policy.of(Retention(grace=0.0, minimum_age=0.0, rules=(rule,)))


def main() -> None:
    events = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    until = _START + timedelta(seconds=_YEAR)
    table = Table(title=f"backtest of {events:,} events. Bars for 10,000,000: one policy 20 s, a family of 20 in 120 s")
    for heading in ("what", "s", "CPU s", "times reading", "most memory, MB"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    with tempfile.TemporaryDirectory(prefix="voxledger-bench-") as folder:
        parts = Parts(Path(folder) / "home")
        began = time.perf_counter()
        fill(parts, events)
        Console().print(f"filled in {time.perf_counter() - began:.0f} s")
        keeper = Filled(parts.keeper)
        limit = 0.0

        def ask(policy: Policy, **more: object) -> Backtest:
            given = {"baselines": False, "until": until, **more}
            return backtest(keeper, Asked(policies=(("tried", policy),), **given))  # type: ignore[arg-type]

        def read() -> None:
            with keeper.reading() as reading:
                for query in _TABLES.values():
                    reading.table(query)

        def same() -> None:
            found = ask(_simple()).policies[0]
            assert (found.purges, found.regrets) == loop_found, "the peer counts otherwise"

        loop_found = (0, 0)
        family = Family.parse("keep_for=7d:180d:19")
        kept = (KeepRule(name="often", match="plays > 5"), KeepRule(name="lately", played_within=20 * 86400.0))
        for what, run in (
            ("reading the data at all", read),
            ("one policy, two rules", lambda: ask(_policy())),
            ("one policy, two keep rules, one on :now", lambda: ask(_policy(*kept))),
            (f"a family of {len(family.spans) + 1}", lambda: ask(_policy(), family=family)),
            ("the same with three baselines", lambda: ask(_policy(), family=family, baselines=True)),
            ("peer: a loop in Python, one rule", None),
            ("the same rule here", same),
        ):
            began, used = time.perf_counter(), time.process_time()
            if run is None:
                loop_found = loop(keeper, timedelta(days=30))
            else:
                run()
            taken, cpu = time.perf_counter() - began, time.process_time() - used
            limit = limit or taken
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            table.add_row(what, f"{taken:.1f}", f"{cpu:.1f}", f"{taken / limit:.1f}", f"{memory:,.0f}")
            Console().print(f"{what}: {taken:.1f} s, {cpu:.1f} CPU s, {memory:,.0f} MB")
        parts.close()
    Console().print(table)


if __name__ == "__main__":
    main()
