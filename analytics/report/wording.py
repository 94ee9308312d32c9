"""Wording: numbers, sizes, spans of time and moments as people write them. What is not known is an en dash.

Between a figure and its unit stands a no-break space, so that a line never ends between them.
"""

from __future__ import annotations

from datetime import date, datetime

from voxledger.analytics.metrics import Unit, Value

NOTHING = "–"
GAP = "\N{NO-BREAK SPACE}"
"""Stands between a figure and its unit."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def number(value: Value, unit: Unit) -> str:
    """A metric's value in its unit."""
    if value is None:
        return NOTHING
    if unit == "us":
        return duration(value)
    if unit == "bytes":
        return size(int(value))
    if unit == "share":
        return share(value)
    if unit == "micro":
        return ratio(value / 1e6)
    return ratio(value) if unit == "ratio" else count(int(value))


def money(micro: int, currency: str = "") -> str:
    """Millionths of a currency: `12.40 EUR`, `0.0031 EUR`, `<0.0001 EUR`."""
    amount = micro / 1e6
    figures = f"{amount:,.2f}" if abs(amount) >= 0.1 or not micro else f"{amount:.2g}"
    if 0 < amount < 0.0001:
        figures = "<0.0001"
    return f"{figures.replace('-', '−')}{GAP}{currency}".strip()


def count(value: int) -> str:
    """`1,234`."""
    return f"{value:,}"


def duration(us: float | None) -> str:
    """A span in microseconds: `850 µs`, `450 ms`, `12.3 s`, `3 min 20 s`, `1.2 h`."""
    if us is None:
        return NOTHING
    if us < 0:
        return "−" + duration(-us)
    if us == 0:
        return f"0{GAP}s"
    if us < 999.5:
        return f"{us:.0f}{GAP}µs"
    if us < 999_500:
        return f"{us / 1e3:.0f}{GAP}ms"
    if us < 59_950_000:
        return f"{us / 1e6:.1f}{GAP}s"
    seconds = round(us / 1e6)
    if seconds < 3600:
        minutes, seconds = divmod(seconds, 60)
        return f"{minutes}{GAP}min{GAP}{seconds}{GAP}s" if seconds else f"{minutes}{GAP}min"
    return f"{us / 3.6e9:,.1f}{GAP}h"


def size(amount: int) -> str:
    """Bytes in decimal units: `512 B`, `4.5 MB`, `−1.2 GB`."""
    if amount < 0:
        return "−" + size(-amount)
    value, unit = float(amount), "B"
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):  # the unit that the loop stopped at is the answer
        if value < (999.5 if unit == "B" else 999.95) or unit == "PB":
            break
        value /= 1000
    return f"{value:.0f}{GAP}B" if unit == "B" else f"{value:,.1f}{GAP}{unit}"


def share(value: float | None) -> str:
    """A share of 1 in percent: `12.3%`, `<0.1%`, `0%`."""
    if value is None:
        return NOTHING
    if 0 < value < 0.0005:
        return "<0.1%"
    if 0.9995 <= value < 1:
        return ">99.9%"
    percent = f"{value * 100:.1f}".removesuffix(".0")
    return f"{percent}%"


def ratio(value: float | None) -> str:
    """A quotient with three figures: `0.0352`, `1.24`, `310`."""
    if value is None:
        return NOTHING
    if not value:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def change(value: float | None, unit: Unit = "count") -> str:
    """A relative change `+12%`, `−8%`, `×14`; for a share the percentage points `+2.1 pp`."""
    if value is None:
        return NOTHING
    sign = "+" if value > 0 else "−"
    if unit == "share":
        points = f"{abs(value) * 100:.1f}"
        return f"±0{GAP}pp" if points == "0.0" else f"{sign}{points}{GAP}pp"
    if value >= 9:
        return f"×{1 + value:,.0f}"
    percent = f"{abs(value) * 100:.0f}" if abs(value) >= 0.0095 else f"{abs(value) * 100:.1f}"
    return "±0%" if percent == "0.0" else f"{sign}{percent}%"


def moment(value: datetime | None) -> str:
    """`Monday 16 November 2026, 14:05`, by its own clock."""
    if value is None:
        return NOTHING
    return f"{_DAYS[value.weekday()]} {day(value.date())}, {value:%H:%M}"


def day(value: date) -> str:
    """`16 November 2026`."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def brief(value: date) -> str:
    """`16 Nov`."""
    return f"{value.day}{GAP}{_MONTHS[value.month - 1][:3]}"


def short_day(text: str) -> str:
    """`Mon 16` from `2026-11-16`."""
    value = date.fromisoformat(text)
    return f"{_DAYS[value.weekday()][:3]} {value.day}"


def month(text: str) -> str:
    """`Nov` from `2026-11-16`."""
    return _MONTHS[date.fromisoformat(text).month - 1][:3]


def days(first: date, last: date) -> str:
    """`16–22 November 2026`, `30 November – 6 December 2026`."""
    if first.year != last.year:
        return f"{day(first)} – {day(last)}"
    if first.month != last.month:
        return f"{first.day} {_MONTHS[first.month - 1]} – {day(last)}"
    return f"{first.day}–{day(last)}"


def plural(amount: int, one: str, many: str = "") -> str:
    """`1 clip`, `1,234 clips`."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def shortened(text: str, length: int) -> str:
    """A text cut to a length in characters, at a word where one ends nearby."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > length * 0.7 else cut).rstrip() + "…"


def title(name: str | None, text: str | None, language: str | None, emotion: str | None) -> str:
    """What a clip is called, in 80 characters at most; an automatic name says only language and emotion, and then the text says more.

    Empty where neither is known.
    """
    automatic = text and name in (None, "", f"{(language or '').lower()}-{emotion}")
    return shortened((text if automatic else name) or "", 80)
