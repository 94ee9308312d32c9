"""Telling: the sentences of a report, the same on the page, in Markdown and in a mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from voxledger.analytics.metrics import METRICS, Unit
from voxledger.analytics.report import wording
from voxledger.analytics.report.changes import Change
from voxledger.analytics.report.parts import EngineUse, Expiring, FeatureUse, Storage
from voxledger.analytics.report.weekly import Headline, Move, WeeklyReport

OWN_VOICE = "engine’s own"
"""What is called so has no name: the voice of an engine that was given none."""
SHOWN_CHANGES = 20
"""Most numbers of a revision that are listed."""
SHOWN_FEATURES = 12
"""Most features that are listed one by one."""
BESIDE = 4
"""Most clips that go next which stand beside the numbers of storage; more of them have the width of the page."""
_SHOWN_DROPPED = 3
"""So many of them are features that were dropped, where there are."""


def lead(report: WeeklyReport) -> str:
    """The week in a sentence or two."""
    if report.empty:
        return (
            "Nothing was generated in this week so far." if not report.closed else "Nothing was generated in this week."
        )
    clips, audio, people = facts(report)
    said = f"{clips}, {audio}, from {people}"
    if report.users.new and not report.first_week:
        said += f", {report.users.new:,} of them new"
    if saved := report.headline("saved_us").value:
        said += f". Reuse saved {wording.duration(saved)} of engine time"
    return said + "."


def facts(report: WeeklyReport) -> Sequence[str]:
    """The three numbers that a week comes down to: clips, audio, people. One sentence of a week in which there are none."""
    if report.empty:
        return ("nothing was generated",)
    clips, audio = (report.headline(name).value or 0 for name in ("clips", "audio_us"))
    return (
        wording.plural(int(clips), "new clip"),
        f"{wording.duration(audio)} of speech",
        wording.plural(report.users.active, "person", "people"),
    )


def versus(report: WeeklyReport) -> str:
    """What the changes compare with."""
    if report.compared_week is None:
        return "first week"
    return f"vs {report.compared_week}" if report.closed else f"vs {report.compared_week} by this hour"


def moved(headline: Headline, *, report: WeeklyReport) -> str:
    """The change of a headline in words; never a percentage of nothing."""
    if report.first_week:
        return "first week"
    if headline.change is not None:
        said = wording.change(headline.change, headline.unit)
        return "unchanged" if said.startswith("±") else said
    if headline.previous is None:
        return "none before" if headline.value is not None else wording.NOTHING
    return (
        "as before"
        if headline.value == headline.previous
        else f"from {wording.number(headline.previous, headline.unit)}"
    )


def tone(headline: Headline) -> Literal["good", "bad", ""]:
    """Whether a change is welcome; none where neither direction is, and none for what may be chance."""
    found = headline.evidence
    if not headline.change or headline.better == "neither" or found.verdict != "unusual":
        return ""
    rose = headline.change > 0
    if (
        headline.unit != "share"
        and found.low is not None
        and headline.value is not None
        and rose != (headline.value > found.low)
    ):
        # More than the week before and yet less than usual, or the other way round: neither is good news.
        return ""
    return "good" if rose == (headline.better == "more") else "bad"


def confidence(headline: Headline, report: WeeklyReport) -> str:
    """What a number is worth as evidence, in a few words."""
    found = headline.evidence
    if found.verdict == "insufficient":
        return "insufficient data" if report.closed or headline.unit == "share" else ""
    if found.verdict == "usual":
        return "within chance"
    if headline.unit == "share" or found.low is None or found.high is None:
        return "beyond chance"
    return f"unusual: mostly {between(found.low, found.high, headline)}"


def between(low: float, high: float, headline: Headline | Move) -> str:
    """A range of a number, `210 to 340`."""
    said = [wording.number(round(end) if headline.unit == "count" else end, headline.unit) for end in (low, high)]
    return said[0] if said[0] == said[1] else f"{said[0]} to {said[1]}"


def subject(move: Move) -> str:
    """What moved: `Clips made`, `Emotion sad, share of clips`, `Engine espeak, failure rate`."""
    title = METRICS[move.metric].title
    if not move.dimension:
        return title
    group = wording.shortened(move.group, 40) or OWN_VOICE
    return f"{move.dimension.capitalize()} {group}, {title[0].lower()}{title[1:]}"


def sentence(move: Move, report: WeeklyReport) -> str:
    """How it moved, against what, and how sure that is."""
    now, before = (
        wording.number(round(value) if move.unit == "count" else value, move.unit)
        for value in (move.value, move.before)
    )
    if move.kind == "count":
        said = wording.change((move.value - move.before) / move.before, move.unit) if move.before else "from nothing"
        return f"{now}, {said} against the usual {before} (mostly {between(move.low, move.high, move)} in {move.observations} weeks)"
    points = [wording.change(end, "share") for end in (move.low, move.high)]
    usual = ""
    if move.usual_low is not None and move.usual_high is not None:
        usual = f"; mostly {wording.share(move.usual_low)} to {wording.share(move.usual_high)} in eight weeks"
    return (
        f"{now}, {wording.change(move.value - move.before, 'share')} against {report.compared_week}"
        f" ({points[0]} to {points[1]}; n = {wording.count(move.observations)}{usual})"
    )


def nothing_moved(report: WeeklyReport) -> str:
    """Why there is no line of what moved."""
    moves = report.moves
    if not moves.tested:
        return "Insufficient data: a share needs 30 observations in this week and in the one before, a count eight weeks to compare with."
    told = wording.plural(moves.tested, "comparison")
    return f"Nothing moved by more than chance and by enough to matter ({told}{_left_out(report)})."


def judged(report: WeeklyReport) -> str:
    """How the lines of what moved were chosen."""
    return (
        f"Of {wording.plural(report.moves.tested, 'comparison')} that were made{_left_out(report)}. Were requests independent of each"
        " other, at most 1 in 20 of such lines would be chance (Benjamini-Hochberg). They are not, so a share, which is compared with"
        " the week before, must also lie outside of where it mostly lay, once eight weeks are known; counts are compared with those."
    )


def _left_out(report: WeeklyReport) -> str:
    moves = report.moves
    ordinary = f"; {moves.ordinary:,} moved within what is usual" if moves.ordinary else ""
    return ordinary + (f"; {moves.untold:,} more lacked data" if moves.untold else "")


def forecast(storage: Storage) -> str:
    """Where the size of all clips goes."""
    ahead = storage.forecast
    if ahead is None or ahead.expected is None or ahead.interval is None:
        return "insufficient data (fewer than four whole weeks)"
    low, high = (wording.size(round(end)) for end in (ahead.interval.low, ahead.interval.high))
    return f"{wording.size(ahead.expected)} in {wording.plural(ahead.weeks, 'week')} ({low} to {high})"


def spent(storage: Storage) -> str:
    """What the week cost, part by part."""
    parts = [f"{row.part}{wording.GAP}{wording.money(row.micro)}" for row in storage.cost]
    whole = wording.money(sum(row.micro for row in storage.cost), storage.currency)
    return whole if len(parts) < 2 else f"{whole} ({', '.join(parts)})"


def expiring(report: WeeklyReport) -> str:
    """What goes by when, and whether anything lets it go: `2 clips, 1.2 MB, by Monday …, when their grace ends.`"""
    found = report.retention
    until = wording.moment(found.expiring_until)
    said = f"{wording.plural(found.expiring_clips, 'clip')}, {wording.size(found.expiring_bytes)}, by {until}, when their grace ends."
    if any(_is_overdue(clip, report) for clip in found.expiring):
        said += " What is overdue goes with the next run."
    if not found.scheduled:
        said += " Nothing is purged by itself: retention.schedule is not set."
    return said


def grace(clip: Expiring, report: WeeklyReport) -> str:
    """When the grace of a marked clip ends, `16 Nov`; once it is over, the next run takes the clip."""
    if _is_overdue(clip, report):
        return "overdue"
    return wording.brief(clip.delete_after.astimezone(report.start.tzinfo).date())


def _is_overdue(clip: Expiring, report: WeeklyReport) -> bool:
    return clip.delete_after <= report.provenance.generated


def missing(clip: Expiring) -> str:
    """Why a clip cannot be heard from the store; empty where it can."""
    return {"stored": "", "waiting": "not uploaded", "gone": "audio is gone"}[clip.audio]


def features(report: WeeklyReport) -> Sequence[FeatureUse]:
    """Those that are listed: the most used, and some that were dropped."""
    if len(report.features) <= SHOWN_FEATURES:
        return report.features
    dropped = [row for row in report.features if row.status == "dropped"]
    used = [row for row in report.features if row.status != "dropped"]
    used = used[: SHOWN_FEATURES - min(len(dropped), _SHOWN_DROPPED)]
    return (*used, *dropped[: SHOWN_FEATURES - len(used)])


def other_features(report: WeeklyReport) -> str:
    """What the rest comes to, `18 more, in at most 2% of the requests each: used 40 times, …`; empty where there is none."""
    shown = {row.feature for row in features(report)}
    rest = [row for row in report.features if row.feature not in shown]
    if not rest:
        return ""
    most = max(row.generation_share or 0.0 for row in rest)
    used, took, dropped = (
        sum(getattr(row, name) for row in rest) for name in ("generations", "new_users", "dropped_users")
    )
    counted = (("used", used), ("taken up", took), ("dropped", dropped))
    said = ", ".join(f"{what} {wording.plural(times, 'time')}" for what, times in counted if times)
    return f"{len(rest):,} more, in at most {wording.share(most)} of the requests each: {said}"


def at_work(report: WeeklyReport) -> Sequence[EngineUse]:
    """Engines that made a clip or failed to; of clips that were only given again there is no speed."""
    return [row for row in report.engines if row.clips or row.failed]


def sent(report: WeeklyReport) -> str:
    """Mixpanel against the log, in words."""
    told = report.quality.mixpanel
    if told is None:
        return "not known for a moment of the past"
    if not told.on:
        return "nothing is sent: no token is set"
    said = f"{told.passed - told.refused:,} of {wording.plural(told.events, 'event')} of the week are acknowledged"
    if told.waiting:
        said += f", {told.waiting:,} wait"
    if told.refused:
        said += f", {told.refused:,} were refused"
    return said


def differing(report: WeeklyReport) -> Sequence[Change]:
    """What a revision says differently as far as it reads differently: `1.8 s, 1.8 s before` tells nobody anything."""
    return [change for change in report.changes if len(set(_read(change))) == 2]


def changed(change: Change) -> str:
    """A number that an earlier revision gave differently: `Clips made: 12, 11 before`."""
    field = change.field.rpartition(".")[2]
    now, before = _read(change)
    if change.section == "headlines":
        return f"{METRICS[change.row].title}: {now}, {before} before"
    row = wording.shortened(change.row, 40)
    words = field.removesuffix("_us").replace("_", " ")
    return f"{change.section.capitalize()}{f' {row}' if row else ''}, {words}: {now}, {before} before"


def _read(change: Change) -> tuple[str, str]:
    """How the number of a change reads now, and how it read before."""
    unit = _unit(change.row if change.section == "headlines" else change.field.rpartition(".")[2])
    return wording.number(change.after, unit), wording.number(change.before, unit)


def _unit(name: str) -> Unit:
    """The unit of a number of the report, which its name says."""
    if name in METRICS:
        return METRICS[name].unit
    if name.endswith("_us"):
        return "us"
    if name.endswith("bytes"):
        return "bytes"
    if name.endswith("micro"):
        return "micro"
    if "share" in name or "rate" in name:
        return "share"
    return "ratio" if name.startswith(("effective_mean", "rtf")) else "count"
