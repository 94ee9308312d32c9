"""Moments: times in the zone of whoever looks, and numbers as they read them. What is not known is an en dash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from voxledger.analytics.report import wording
from voxledger.dashboards.pages.words import SPOKEN, say, say_many

if TYPE_CHECKING:
    import datetime as calendar

NOTHING = wording.NOTHING
ZONE: ContextVar[str] = ContextVar("zone", default="UTC")
"""The IANA zone of whoever asks; `page.Page` sets it while it renders."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEKDAYS = "一二三四五六日"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=64)
def known(zone: str) -> bool:
    """Whether there is such a zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def moment(value: datetime | float | None, how: str = "auto") -> Markup | str:
    """A time as a `<time>` with the whole of it as its title. A number is seconds since 1970.

    `auto` is as short as can be understood now: the clock today, the day before; `clock`, `day` and `full` are what they say; `ago` is
    how long that is from now.
    """
    if value is None:
        return NOTHING
    aware = datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else value.astimezone(UTC)
    local = _local(aware)
    shown = ago(aware) if how == "ago" else _shown(local, how)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        aware.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        f"{_shown(local, 'full')} ({local.tzinfo})",
        shown,
    )


def written(value: datetime, how: str = "day-and-clock") -> str:
    """The same as plain text, for a sentence: `26 Nov, 14:03`, in the viewer's zone."""
    return _shown(_local(value), how)


def _local(value: datetime) -> datetime:
    """In the viewer's zone; in UTC where no calendar goes as far as it would be there."""
    try:
        return value.astimezone(ZoneInfo(ZONE.get()))
    except OverflowError:
        return value.astimezone(UTC)


def _shown(local: datetime, how: str) -> str:
    present = datetime.now(local.tzinfo)
    if how == "auto":
        how = (
            "clock"
            if local.date() == present.date()
            else "day-clock"
            if abs(present - local) < timedelta(days=7)
            else "day"
        )
    clock = f"{local:%H:%M}"
    if how == "clock":
        return clock
    chinese = SPOKEN.get() == "zh"
    year = "" if local.year == present.year and how != "full" else f"{local.year}年" if chinese else f" {local.year}"
    european = f"{local.day}{wording.GAP}{_MONTHS[local.month - 1]}{year}"
    day = f"{year}{local.month}月{local.day}日" if chinese else european
    if how == "day":
        return day
    if how == "day-and-clock":
        return f"{day} {clock}" if chinese else f"{day}, {clock}"
    if how == "day-clock":
        return f"周{_WEEKDAYS[local.weekday()]} {clock}" if chinese else f"{_DAYS[local.weekday()]} {clock}"
    return f"{day} {local:%H:%M:%S}"


def date(value: calendar.date) -> str:
    """`Mon 16 Nov`."""
    if SPOKEN.get() == "zh":
        return f"{value.month}月{value.day}日 周{_WEEKDAYS[value.weekday()]}"
    return f"{_DAYS[value.weekday()]} {value.day}{wording.GAP}{_MONTHS[value.month - 1]}"


def ago(value: datetime | float | None) -> str:
    """`just now`, `5 min ago`, `in 3 days`."""
    if value is None:
        return NOTHING
    past = datetime.now(UTC).timestamp() - (value.timestamp() if isinstance(value, datetime) else value)
    if abs(past) < 45:
        return say("just now")
    span = lasting(abs(past))
    return say("%(span)s ago") % {"span": span} if past > 0 else say("in %(span)s") % {"span": span}


def lasting(seconds: float) -> str:
    """A span in the largest unit that fits: `45 s`, `5 min`, `3 h`, `2 days`."""
    if seconds < 60:
        return say("%(num)s s") % {"num": round(seconds)}
    if seconds < 3570:
        return say("%(num)s min") % {"num": round(seconds / 60)}
    if seconds < 84600:
        return say("%(num)s h") % {"num": round(seconds / 3600)}
    days = round(seconds / 86400)
    return say_many("%(num)s day", "%(num)s days", days) % {"num": count(days)}


def duration(us: float | None) -> str:
    """The length of audio or of work, in µs, as the weekly report writes it; in Chinese with its units."""
    shown = wording.duration(us)
    if SPOKEN.get() == "zh":
        for unit, own in (("min", "分"), ("ms", "毫秒"), ("µs", "微秒"), ("h", "小时"), ("s", "秒")):
            shown = shown.replace(f"{wording.GAP}{unit}", f"{wording.GAP}{own}")
    return shown


def playing(us: float | None) -> str:
    """The length of a clip as players show it: `0:04`, `1:02:30`."""
    if us is None:
        return NOTHING
    seconds = max(1, round(us / 1e6)) if us > 0 else 0
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def count(value: float | None) -> str:
    """`1,234`."""
    return NOTHING if value is None else wording.count(int(value))


def size(value: float | None) -> str:
    """Bytes in decimal units."""
    return NOTHING if value is None else wording.size(int(value))


def share(value: float | None) -> str:
    """A share of 1 in percent."""
    return wording.share(value)


def change(now: float | None, before: float | None) -> Markup | str:
    """How a number has changed, relative to what it was: `+12%`; an en dash where there was nothing."""
    if now is None or not before:
        return NOTHING
    return escape(wording.change(now / before - 1))


FILTERS: Mapping[str, Callable[..., Markup | str]] = {
    "moment": moment, "date": date, "ago": ago, "lasting": lasting, "duration": duration, "playing": playing, "count": count, "size": size,
    "share": share,
}  # fmt: skip
"""What templates may write behind a bar."""
