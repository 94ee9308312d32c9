"""Segments: which expire rule decides about each clip in each stretch of its life, if no keep rule speaks for it.

Most conditions change only with their clip, so one look at each stretch is exact. Those that name `:now` are looked at in every
night, or, where that is too much, at both ends of a stretch and, if these differ, at ever smaller halves between them. The newest of
a group are known exactly; the best of a group are looked for in every night, or every few nights.
"""

from __future__ import annotations

from voxledger.catalog.queries import load
from voxledger.catalog.retention.backtest import history as past
from voxledger.catalog.retention.backtest.history import History, at, exposed, is_timed
from voxledger.catalog.retention.policy import Expression, KeepRule, Newest, Policy

SQL = load("replay.sql", "voxledger.catalog.retention.backtest")
MOST = 20_000_000
"""Most nights of stretches, and of clips, that are looked at one by one."""


def shape(policy: Policy) -> object:
    """What policies must have in common for the same segments to serve them all."""
    return (
        [rule.condition.sql for rule in policy.rules],
        [(keep.condition.sql, keep.ranks) for keep in policy.keep],
        bool(policy.budgets),
    )


def build(history: History, policy: Policy) -> tuple[str, ...]:
    """Make `segments` and `lives` for a policy. Gives what a reader must know about how exact they are."""
    made = _Building(history, policy)
    made.keepers()
    made.segments()
    history.connection.execute(SQL["lives"])
    return tuple(made.notes)


class _Building:
    def __init__(self, history: History, policy: Policy) -> None:
        self.history = history
        self.policy = policy
        self.exposed = exposed(past.named([policy]))
        self.plain: list[Expression] = []
        self.notes: list[str] = []
        self.step = 0
        """Nights between two looks for the best of a group; 0 = there is no such rule."""
        self._run = history.connection.execute

    def keepers(self) -> None:
        """Sort the keep rules: what can be said of one stretch alone, and what depends on other clips."""
        self._run("CREATE OR REPLACE TABLE staying (clip BIGINT, leaves BIGINT)")
        self._run("CREATE OR REPLACE VIEW until_then AS SELECT clip, max(leaves) AS leaves FROM staying GROUP BY clip")
        self._run("CREATE OR REPLACE TABLE ranked (clip BIGINT, night BIGINT)")
        ranking: list[KeepRule] = []
        for keep in self.policy.keep:
            if not keep.ranks:
                self.plain.append(keep.condition)
            elif _is_lasting(keep):
                self._leaving(keep)
            else:
                ranking.append(keep)
        if not ranking:
            return
        clips = self.history.row("SELECT count(*) FROM clips")[0]
        self.step = max(1, -(-self.history.nights * clips // MOST))
        if self.step > 1:
            self.notes.append(
                f"the best of each group were looked for every {self.step} nights, not every night: there are many clips"
            )
        for night in range(0, self.history.nights, self.step):
            for keep in ranking:
                self._rank(night, keep)

    def _leaving(self, keep: KeepRule) -> None:
        rank = keep.ranks[0]
        query = SQL["leaving"].format(
            n=rank.n,
            partition=_partition(rank),
            condition=keep.condition.sql,
            exposed=exposed({*keep.condition.columns, *rank.per}),
        )
        self._run(f"INSERT INTO staying {query}")

    def _rank(self, night: int, keep: KeepRule) -> None:
        now = f"make_timestamptz(hour_of({night}))"
        columns = set(keep.condition.columns)
        first = []
        for rank in keep.ranks:
            columns |= {*rank.per, *(rank.by.columns if rank.by else ())}
            order = f"{at(rank.by, now)}, " if rank.by else ""
            first.append(f"row_number() OVER ({_partition(rank)} ORDER BY {order}made DESC, clip DESC) <= {rank.n}")
        query = SQL["ranked"].format(
            night=night, condition=at(keep.condition, now), exposed=exposed(columns), first=" AND ".join(first)
        )
        self._run(query)

    def segments(self) -> None:
        """Find the rule of each stretch; where it changes meanwhile, the stretch is cut."""
        timed = any(is_timed(condition) for condition in [*self.plain, *(rule.condition for rule in self.policy.rules)])
        if not timed and not self.step:
            self._run(SQL["segments_simple"].format(verdict=self._verdict(""), exposed=self.exposed))
            return
        of_ranked = "clip IN (SELECT clip FROM ranked)"
        self._run("CREATE OR REPLACE TABLE verdicts (row BIGINT, night BIGINT, rule TINYINT)")
        if not timed:
            self._run(SQL["simple"].format(verdict=self._verdict(""), exposed=self.exposed, simple=f"NOT {of_ranked}"))
            self._every_night(of_ranked)
        elif self.history.row("SELECT sum(greatest(night(ends) - night(begins), 0)) FROM spans")[0] <= MOST:
            self._every_night("true")
        else:
            self.notes.append(
                "conditions on :now were looked at where a clip's state began and ended, and between where these differ:"
                " what comes and goes in between was not seen"
            )
            self._every_night(of_ranked)
            self._halving(f"NOT {of_ranked}")
        self._run(SQL["segments"])

    def _every_night(self, careful: str) -> None:
        self._run(SQL["every_night"].format(careful=careful))
        self._probe()
        self._run(SQL["turning"])

    def _halving(self, careful: str) -> None:
        self._run(SQL["both_ends"].format(careful=careful))
        self._probe()
        self._run(SQL["first_and_last"])
        self._run(SQL["begun"])
        while True:
            self._run(SQL["met"])
            self._run(SQL["narrow"])
            if not self.history.row("SELECT count(*) FROM open")[0]:
                return
            self._run(SQL["middle"])
            self._probe()
            self._run(SQL["halve"])

    def _probe(self) -> None:
        verdict = self._verdict("make_timestamptz(hour_of(k_night))")
        joins = f" LEFT JOIN ranked ON ranked.clip = k_clip AND ranked.night = k_night // {self.step} * {self.step}"
        self._run(SQL["probe"].format(verdict=verdict, exposed=self.exposed, joins=joins if self.step else ""))

    def _verdict(self, now: str) -> str:
        """The number of the deciding rule, NULL where none decides or something speaks for the clip."""
        kept = ["k_pinned", *(f"coalesce({at(condition, now)}, false)" for condition in self.plain)]
        if self.step and now:
            kept.append("ranked.clip IS NOT NULL")
        rules = " ".join(
            f"WHEN {at(rule.condition, now)} THEN {number}" for number, rule in enumerate(self.policy.rules)
        )
        # Budgets also take what no rule names.
        other = "ELSE -1" if self.policy.budgets else "ELSE NULL"
        return f"(CASE WHEN {' OR '.join(kept)} THEN NULL {rules} {other} END)::TINYINT"


def _is_lasting(keep: KeepRule) -> bool:
    """Whether who stands first depends on nothing but what clips are made later."""
    rank, columns = keep.ranks[0], {*keep.condition.columns, *keep.ranks[0].per}
    return len(keep.ranks) == 1 and not rank.by and not is_timed(keep.condition) and not past.CHANGING & columns


def _partition(rank: Newest) -> str:
    return f"PARTITION BY {', '.join(rank.per)}" if rank.per else ""
