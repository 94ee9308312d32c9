"""The backtest: policies, families and baselines over one past, and the policy that is suggested."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import msgspec

from voxledger.catalog import settings
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.events import now as present
from voxledger.catalog.log import Keeper
from voxledger.catalog.progress import Counting
from voxledger.catalog.retention.backtest import history, trace
from voxledger.catalog.retention.backtest.baselines import SHARES, Baselines
from voxledger.catalog.retention.backtest.family import Family
from voxledger.catalog.retention.backtest.history import History, moment
from voxledger.catalog.retention.backtest.outcomes import Backtest, Outcome, suggest
from voxledger.catalog.retention.backtest.replay import Replay, cost, totals
from voxledger.catalog.retention.policy import Expression, Policy, Rule

AGES = Family.parse("keep_for=7d:180d:8").spans
"""How long the baseline by age keeps where no family says it."""
WORST = 10
"""Most regrets that are listed for a policy."""
MAX_REGRET = 0.01
"""Which share of all uses a suggested policy may cost."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be replayed. Without `since` from the first clip on, without `until` up to now, or to a trace's last line.

    `max_regret` is a share of uses, `worst` how many regrets are listed for each policy.
    """

    policies: tuple[tuple[str, Policy], ...]
    family: Family | None = None
    since: datetime | None = None
    until: datetime | None = None
    trace: Path | None = None
    max_regret: float = MAX_REGRET
    worst: int = WORST
    baselines: bool = True


def policies(
    section: settings.Retention, files: Sequence[Path], zone: str = "UTC", prices: settings.Prices | None = None
) -> tuple[tuple[str, Policy], ...]:
    """The policies of these files under their names, or that of the settings. `zone` is that of their purge windows.

    Raises SettingsError or PolicyError for a file that is not right.
    """
    if not files:
        return (("policy", Policy.of(section, zone, prices)),)
    plain = len({file.name for file in files}) == len(files)
    return tuple(
        (
            file.name if plain else str(file),
            Policy.of(settings.read_policy(file.expanduser(), settings.Retention()), zone, prices),
        )
        for file in files
    )


def backtest(keeper: Keeper, asked: Asked, *, progress: Counting | None = None) -> Backtest:
    """Replay it. Changes nothing. Raises PolicyError for what cannot be replayed, such as a policy that deletes nothing."""
    for edge in (asked.since, asked.until):
        if edge is not None and edge.tzinfo is None:
            raise PolicyError(f"the moment {edge.isoformat()} has no time zone; use an aware one")
    if not 0 <= asked.max_regret <= 1:
        raise PolicyError(f"a regret of {asked.max_regret:.0%} is no share of all uses; give one from 0% to 100%")
    tried = _tried(asked)
    spans = _some(asked.family.spans) if asked.family else AGES
    steps = len(tried) + (len(spans) + 2 * len(SHARES) if asked.baselines else 0)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    with _past(keeper, asked, tried) as (past, source):
        around = totals(past)
        replay = Replay(past, around, asked.worst)
        outcomes = []
        for policy, name, keep_for in tried:
            outcomes.append(replay.run(policy, name, keep_for))
            step()
        price = asked.policies[0][1]
        simple = _baselines(Baselines(past, around, price.price_micro), spans, step) if asked.baselines else []
        tested = tuple(outcomes)
        return Backtest(
            source=source,
            since=moment(past.since),
            until=moment(past.until),
            nights=past.nights,
            clips=around.clips,
            uses=around.uses,
            byte_days=around.byte_seconds / 86400,
            cost=cost(around.byte_seconds, price.price_micro),
            currency=price.currency,
            max_regret=asked.max_regret,
            policies=tested,
            baselines=tuple(simple),
            suggestion=suggest(tested, asked.max_regret),
            notes=_notes(asked, tested, around.uses),
        )


def _baselines(baselines: Baselines, spans: Sequence[timedelta], step: Callable[[], None]) -> list[Outcome]:
    return [*baselines.age(spans, step), *baselines.caches("lru", step), *baselines.caches("lfu", step)]


def _some(spans: Sequence[timedelta]) -> list[timedelta]:
    """As many spans as the baseline by age has by itself, the first and the last among them."""
    last = len(AGES) - 1
    if len(spans) <= len(AGES):
        return list(spans)
    return [spans[round(place * (len(spans) - 1) / last)] for place in range(len(AGES))]


def _tried(asked: Asked) -> list[tuple[Policy, str, float | None]]:
    """Every policy with its name, and its span where the family varies it; those that can share work side by side."""
    if not asked.policies:
        raise PolicyError("there is no policy to replay")
    found: list[tuple[Policy, str, float | None]] = []
    for name, given in asked.policies:
        policy = given
        if asked.family and not policy.rules and asked.family.rule is None:
            # Without rules of its own: the simplest family there is.
            policy = msgspec.structs.replace(policy, rules=(_every_clip(),))
        if not policy.rules and not policy.budgets:
            raise PolicyError(
                f"{name} has no rules: nothing could expire. Write [[retention.rules]], or give --family keep_for=7d:180d to try"
                " one rule for every clip"
            )
        if policy is given:
            found.append((policy, name, None))
        if asked.family:
            prefix = f"{name}: " if len(asked.policies) > 1 else ""
            found += [(member, prefix + label, seconds) for member, label, seconds in asked.family.of(policy)]
    return found


def _every_clip() -> Rule:
    return Rule(
        name="every clip",
        words="every clip",
        condition=Expression(text="true", sql="(true)", columns=frozenset()),
        keep_for=timedelta(days=30),
    )


@contextlib.contextmanager
def _past(
    keeper: Keeper, asked: Asked, tried: Sequence[tuple[Policy, str, float | None]]
) -> Iterator[tuple[History, str]]:
    policies = [policy for policy, _, _ in tried]
    with history.database() as connection:
        try:
            if asked.trace is not None:
                past, said = trace.read(connection, asked.trace, policies, asked.since, asked.until)
                yield past, f"{asked.trace.name} ({said})"
            else:
                with keeper.reading() as reading:
                    past = history.read(
                        connection, reading, history.named(policies), asked.since, asked.until or present()
                    )
                yield past, "the log"
        except duckdb.OutOfMemoryException as error:
            raise PolicyError(
                f"the history does not fit into {history.MEMORY} of memory and the folder for temporary files: {error};"
                " make room there, or give a shorter period with --since"
            ) from error


def _notes(asked: Asked, policies: Sequence[Outcome], uses: int) -> tuple[str, ...]:
    """What a reader has to know about the numbers."""
    found = [
        "fuses, purge windows and withdrawn consent play no part: each policy runs every night and deletes what it may"
    ]
    found += dict.fromkeys(note for outcome in policies for note in outcome.notes)
    if not uses:
        found.append("nothing was used in this period: there is nothing to regret, which is no proof")
    if not any(outcome.purges for outcome in policies):
        found.append("no policy deletes anything in this period: try a shorter keep_for, or a longer period")
    elif suggest(tuple(policies), asked.max_regret) is None:
        found.append(
            f"no policy deletes anything with a regret of at most {asked.max_regret:.2%}: try a longer keep_for, or keep rules for"
            " what is used again"
        )
    return tuple(found)
