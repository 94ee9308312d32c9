"""How clips, lists of them and histories look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxledger.catalog import terminal
from voxledger.catalog.clip import Clip
from voxledger.catalog.query.history import Happening

_COLOURS = {
    "stored": "green",
    "local": "yellow",
    "upload failed": "red",
    "missing": "red",
    "marked": "magenta",
    "purging": "dim",
    "purged": "dim",
}


def print_clips(found: Sequence[Clip]) -> None:
    """As many columns as the terminal has room for: a cut id helps nobody."""
    wide = terminal.console.width >= 110
    columns = [
        "id",
        "made",
        "length",
        "language",
        "emotion",
        *(["actor", "session"] if wide else []),
        "name",
        "state",
        *(["tags"] if wide else []),
    ]
    made = terminal.table("", *columns, right=("length",))
    least = {
        "id": 8,
        "made": 11,
        "length": 7,
        "language": 8,
        "emotion": 11,
        "state": 13 if any(clip.pinned for clip in found) else 8,
    }
    for column in made.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
        column.min_width = least.get(str(column.header))
        if column.header == "name" and not wide:
            column.max_width = max(4, terminal.console.width - sum(least.values()) - 3 * len(columns))
    for clip in found:
        cells: dict[str, Any] = {
            "id": f"[bold]{clip.short}[/]",
            "made": clip.created.astimezone().strftime("%m-%d %H:%M"),
            "length": terminal.length(clip.duration),
            "language": clip.language,
            "emotion": clip.emotion,
            "actor": terminal.text(clip.actor or "·"),
            "session": terminal.text(clip.session or "·"),
            "name": terminal.text(clip.name or "·"),
            "state": f"[{_COLOURS[clip.state]}]{clip.state}[/]" + (" [cyan]pinned[/]" if clip.pinned else ""),
            "tags": terminal.text(", ".join(clip.tags)),
        }
        made.add_row(*(cells[column] for column in columns))
    terminal.console.print(made)


def print_history(found: Sequence[Happening]) -> None:
    """One line an event."""
    made = terminal.table("", "position", "when", "what happened", right=("position",))
    for happening in found:
        made.add_row(f"{happening.position:,}", terminal.moment(happening.time), terminal.text(happening.sentence))
    terminal.console.print(made)


_MEASURES = {
    "loudness_lufs": ("loudness", "{:.1f} LUFS"),
    "true_peak_dbtp": ("true peak", "{:.1f} dBTP"),
    "silence_share": ("silence", "{:.0%}"),
    "speech_rate": ("speech rate", "{:.1f} letters/s"),
}
"""How `show` says what was measured of a clip's sound."""


def print_clip(clip: Clip) -> None:
    """Print everything about one clip, a line each."""
    facts = terminal.table("", "what", "value")
    for name, value in _told(clip).items():
        if value not in (None, "", False):
            facts.add_row(name.replace("_", " "), terminal.text("yes" if value is True else value))
    terminal.console.print(facts)


def _told(clip: Clip) -> dict[str, object]:
    """What `show` says, in words and with units; what is unknown is None or empty."""
    facts: dict[str, object] = {
        **clip.as_dict(),
        "duration": f"{clip.duration:.2f} s",
        "bytes": terminal.size(clip.bytes),
        "sample_rate": f"{clip.sample_rate} Hz",
        "tags": ", ".join(clip.tags),
        "dropped": ", ".join(clip.dropped),
        "suspect": ", ".join(clip.suspect).replace("_", " "),
        "text": clip.text,
    }
    for name, (words, form) in _MEASURES.items():
        if (value := facts.pop(name)) is not None:
            facts[words] = form.format(value)
    return facts
