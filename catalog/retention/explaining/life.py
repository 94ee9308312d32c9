"""A clip's life in sentences: how it came to be, what people said of it, and what retention did with it so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from voxledger.catalog import terminal
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.retention.policy.policy import WITHDRAWN

Row: TypeAlias = Mapping[str, Any]
Step: TypeAlias = tuple[datetime, str]
"""Something that happened, and when."""
Label: TypeAlias = Callable[[str | None], str | None]
"""The name behind an opaque id; None when it was erased."""
_MOST = 3
"""Most of what is over that is told of one kind; the log has all of it (`voxledger clips history`)."""
_ENDINGS = {
    "pinned": "it was pinned",
    "held": "a hold was placed on it",
    "used": "it was used",
    "undone": "the plan was undone",
    "policy": "the policy no longer condemned it",
    "restored": "it was restored",
    "replaced": "another mark took its place",
}
_SOURCES = {
    "grace": "out of its grace",
    "store": "from the store, which still had it",
    "versioning": "from an old version in the store",
    "backup": "from a backup",
    "cache": "from the cache",
    "node": "from another node",
}


def told(
    clip: Row,
    holds: Sequence[Row],
    marks: Sequence[Row],
    purges: Sequence[Row],
    label: Label,
    policy: Policy,
    now: datetime,
) -> list[str]:
    """Its life up to now, in order of time; the making is the first and how its audio stands the last."""
    steps = [*_used(clip), *_said(clip, holds, label, now), *_happened(clip, marks, purges, policy)]
    steps.sort(key=lambda step: step[0])  # what has the same time stays in this order
    sentences = [_made(clip), *(sentence for _, sentence in steps)]
    if not clip["delete_after"] and not clip["purge_started"] and not clip["purged"]:
        sentences.append(f"Its audio is {clip['state']}.")
    return sentences


def _made(clip: Row) -> str:
    """How it came to be."""
    name = f" ({clip['name']})" if clip["name"] else ""
    how = "was found" if clip["adopted"] else "was made"
    by = f" for {clip['actor']}" if clip["actor"] else ""
    voice = f" in the voice {clip['voice']}" if clip["voice"] else ""
    engine = f" with {clip['engine']}" if clip["engine"] and not clip["adopted"] else ""
    emotion = f", {clip['emotion']}" if clip["emotion"] else ""
    begun = f"Clip {clip['id'][-8:]}{name} {how} on {date(clip['created'])}{by}{engine}{voice}{emotion}"
    unused = "" if clip["plays"] or clip["reuses"] else ", and has not been played, fetched or asked for since"
    return f"{begun}{unused}."


def _used(clip: Row) -> Iterator[Step]:
    """How it was used, at the time of the last use."""
    uses = [f"was played, fetched or linked {times(clip['plays'])}"] if clip["plays"] else []
    uses += [f"answered a later request {times(clip['reuses'])}"] if clip["reuses"] else []
    if uses:
        yield clip["last_used"], f"It {' and '.join(uses)}, last on {date(clip['last_used'])}."


def _said(clip: Row, holds: Sequence[Row], label: Label, now: datetime) -> Iterator[Step]:
    """What people said of it: ratings, pins and holds."""
    if clip["ratings"]:
        often = "" if clip["ratings"] == 1 else f", the last of {clip['ratings']:,} ratings"
        yield clip["rated"], f"It was rated {clip['rating']} of 5 on {date(clip['rated'])}{often}."
    if clip["pinned"]:
        pin = f"{_who(label(clip['pinned_by']))} pinned it on {date(clip['pinned_at'])}"
        until = f" until {date(clip['pinned_until'])}" if clip["pinned_until"] else ""
        yield clip["pinned_at"], f"{pin}{until}{_because(clip['pin_reason'])}."
    elif clip["pinned_until"]:
        yield (
            clip["pinned_until"],
            f"The pin of {_whom(label(clip['pinned_by']))} ended on {date(clip['pinned_until'])}.",
        )
    for hold in holds:
        if hold["stands"]:
            yield hold["placed"], _placed(hold, now)
    over = [hold for hold in holds if not hold["stands"]]
    for hold in over[-_MOST:]:
        whose = f"The {_kind(hold)} {hold['hold']} of {_whom(hold['owner'])}"
        if hold["renewed"]:
            yield hold["placed"], _placed(hold, now)
        elif hold["released"]:
            by = f"by {_whom(hold['ended_by'])}{_because(hold['release_reason'])}"
            yield hold["released"], f"{whose} was released on {date(hold['released'])} {by}."
        else:
            yield hold["until"], f"{whose} ended on {date(hold['until'])}."


def _happened(clip: Row, marks: Sequence[Row], purges: Sequence[Row], policy: Policy) -> Iterator[Step]:
    """What retention did with it, up to where it stands now."""
    taken_back = [mark for mark in marks if mark["ended"] and mark["ending"] != "purge"]
    for mark in taken_back[-_MOST:]:
        why = _ENDINGS.get(mark["ending"] or "", "for a reason that is not known")
        yield mark["marked"], f"It was marked on {date(mark['marked'])} because of {_rule(mark, policy)}."
        yield mark["ended"], f"That mark ended on {date(mark['ended'])}: {why}."
    for purge in [purge for purge in purges if purge["restored"]][-_MOST:]:
        gone = "Its audio was deleted" if purge["purged"] else "Its deletion began"
        when = purge["purged"] or purge["started"]
        yield when, f"{gone} on {date(when)} because of {_rule(purge, policy)}."
        source = _SOURCES.get(purge["restored_from"] or "", "")
        yield purge["restored"], f"It came back on {date(purge['restored'])} {source}".rstrip() + "."
    marked = {"plan": clip["mark_plan"], "rule": clip["mark_rule"]}
    if clip["purged"]:
        yield clip["purged"], f"Its audio was deleted on {date(clip['purged'])} because of {_rule(marked, policy)}."
        for sentence in _proof(clip, purges[-1] if purges else None):
            yield clip["purged"], sentence
    elif clip["purge_started"]:
        begun = clip["purge_started"]
        yield begun, f"Its deletion began on {date(begun)} because of {_rule(marked, policy)}."
        if purges and purges[-1]["failures"]:
            yield begun, f"It failed {times(purges[-1]['failures'])} so far ({purges[-1]['failure']})."
    elif clip["delete_after"]:
        since, ends = marks[-1]["marked"], clip["delete_after"]
        yield (
            since,
            f"It is marked since {date(since)} because of {_rule(marked, policy)}; its grace ends on {date(ends)}.",
        )


def _proof(clip: Row, purge: Row | None) -> Iterator[str]:
    if purge is None:
        return
    key = f" of {clip['key']}" if clip["key"] else ""
    answer = (
        f"The store answered {purge['answer']}{key}" if purge["answer"] else "The store's answer was not recorded then"
    )
    versions = f", {terminal.count(len(purge['versions']), 'version')} went with it" if purge["versions"] else ""
    yield f"{answer}{versions}, and its absence was seen; {purge['bytes'] or 0:,} bytes."
    if purge["kept_bytes"]:
        yield f"Old versions in the store still hold {purge['kept_bytes']:,} bytes; each run asks again for them."


def _placed(hold: Row, now: datetime) -> str:
    ends = f" until {date(hold['until'])}" if hold["until"] else ""
    if hold["review"]:
        overdue = ", which is overdue" if hold["stands"] and hold["review"] <= now else ""
        ends = f"; somebody has to look at it again by {date(hold['review'])}{overdue}"
    did = "renewed" if hold["is_renewal"] else "put it under"
    return f"{_who(hold['owner'])} {did} the {_kind(hold)} {hold['hold']} on {date(hold['placed'])}{_because(hold['reason'])}{ends}."


def _rule(mark: Row, policy: Policy) -> str:
    plan = f" (plan {mark['plan']})" if mark["plan"] else ""
    if mark["rule"] == WITHDRAWN:
        return f"its voice's withdrawn consent{plan}"
    kind = "budget" if any(budget.name == mark["rule"] for budget in policy.budgets) else "rule"
    return f"{kind} {mark['rule']!r}{plan}" if mark["rule"] else f"a request{plan}"


def _kind(hold: Row) -> str:
    return "legal hold" if hold["kind"] == "legal" else "hold"


def _who(name: str | None) -> str:
    return name or "Somebody who was erased"


def _whom(name: str | None) -> str:
    return name or "somebody who was erased"


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def date(time: datetime) -> str:
    """A moment as sentences write it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count:,} times"
