"""The same as a backtest, done night by night on plain records: slow, and easy to believe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

NIGHT = timedelta(days=1)


@dataclass
class State:
    """A clip as it stands in some moment of the simulation."""

    id: str
    created: datetime
    bytes: int
    used: datetime
    plays: int = 0
    pinned: bool = False
    pinned_until: datetime | None = None
    tags: set[str] = field(default_factory=set)
    rating: int = 0
    held: bool = False
    held_until: datetime | None = None
    linked: datetime | None = None
    marked: int | None = None
    gone: datetime | None = None
    really_gone: bool = False


Happening = tuple[datetime, str, str, object]
"""When, what, to which clip, and what more is to say about it."""
Rule = tuple[Callable[[State, datetime], bool], timedelta]


@dataclass
class Simulated:
    purges: list[tuple[str, datetime]] = field(default_factory=list)
    regrets: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    byte_seconds: int = 0


def simulate(
    happenings: Sequence[Happening],
    rules: Sequence[Rule],
    *,
    since: datetime,
    until: datetime,
    grace: timedelta = timedelta(0),
    minimum_age: timedelta = timedelta(0),
    keeps: Callable[[State, datetime, dict[str, State]], bool] = lambda clip, now, all_: False,
) -> Simulated:
    found, clips = Simulated(), dict[str, State]()
    coming = sorted(happenings, key=lambda happening: happening[0])
    wait = max(1, -(-grace // NIGHT))
    night = 0

    def freed(clip: State, until: datetime) -> None:
        assert clip.gone
        found.byte_seconds += clip.bytes * ((until - clip.gone) // timedelta(seconds=1))
        clip.gone = None

    def happen(time: datetime, kind: str, name: str, more: object) -> None:
        if kind == "made":
            assert isinstance(more, int)
            clips[name] = State(id=name, created=time, bytes=more, used=time)
            return
        clip = clips[name]
        if kind in ("used", "link"):
            if clip.really_gone:
                return
            if clip.gone:
                found.regrets.append((name, clip.gone, time))
                freed(clip, time)
            clip.plays, clip.used, clip.marked = clip.plays + 1, time, None
            if isinstance(more, datetime):
                clip.linked = more
        elif kind == "purged":
            if clip.gone:
                freed(clip, time)
            clip.really_gone, clip.marked = True, None
        elif kind == "restored":
            clip.really_gone, clip.used, clip.marked = False, time, None
        elif kind == "undone":
            clip.used, clip.marked = max(clip.used, time), clip.marked
        elif kind in ("pinned", "rating", "held"):
            setattr(clip, kind, more)
            if kind != "rating":
                setattr(clip, f"{kind}_until", None)
        elif kind == "pinned_until":
            assert isinstance(more, datetime)
            clip.pinned, clip.pinned_until = True, more
        elif kind == "held_until":
            assert isinstance(more, datetime)
            clip.held, clip.held_until = True, more
        else:
            (clip.tags.add if kind == "tagged" else clip.tags.discard)(str(more))

    def condemned(clip: State, now: datetime) -> bool:
        held = clip.held and (clip.held_until is None or clip.held_until > now)
        pinned = clip.pinned and (clip.pinned_until is None or clip.pinned_until > now)
        if pinned or held or keeps(clip, now, clips) or (clip.linked and clip.linked > now):
            return False
        span = next((span for matches, span in rules if matches(clip, now)), None)
        return span is not None and now >= max(clip.used + span, clip.created + minimum_age)

    while (now := since + night * NIGHT) < until:
        while coming and coming[0][0] <= now:
            happen(*coming.pop(0))
        for clip in clips.values():
            if clip.gone or clip.really_gone:
                continue
            if not condemned(clip, now):
                clip.marked = None
            elif clip.marked is None:
                clip.marked = night
            elif night >= clip.marked + wait:
                clip.gone, clip.marked = now, None
                found.purges.append((clip.id, now))
        night += 1
    while coming and coming[0][0] < until:
        happen(*coming.pop(0))
    for clip in clips.values():
        if clip.gone:
            freed(clip, until)
    return found
