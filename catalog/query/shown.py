"""How clips, lists of them and histories look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from voxledger.catalog import terminal
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import EMOTIONS, GenerationCompleted
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
    rows: list[dict[str, Any]] = [
        {
            "id": f"[bold]{clip.short}[/]",
            "made": clip.created.astimezone().strftime("%m-%d %H:%M"),
            "length": terminal.length(clip.duration),
            "language": clip.language,
            "emotion": clip.emotion,
            "actor": terminal.text(clip.actor or "·"),
            "session": terminal.text(clip.session or "·"),
            "name": terminal.text(clip.name or "·"),
            "state": Text.from_markup(
                f"[{_COLOURS[clip.state]}]{clip.state}[/]"
                + (" [cyan]pinned[/]" if clip.pinned else "")
                + (" [red]suspect[/]" if clip.suspect else "")
            ),
            "tags": terminal.text(", ".join(clip.tags)),
        }
        for clip in found
    ]
    columns = ["id", "made", "length", *(["language"] if wide else []), "emotion"]
    columns += ["actor", "session", "name", "state", "tags"] if wide else ["name", "state"]
    made = terminal.table("", *columns, right=("length",))
    state = max((row["state"].cell_len for row in rows), default=0)
    least = {
        "id": 8,
        "made": 11,
        "length": 7,
        "emotion": 11,
        "state": max(5, state),
        **({"language": 8} if wide else {}),
    }
    for column in made.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
        column.min_width = least.get(str(column.header))
        if column.header == "name" and not wide:
            column.max_width = max(4, terminal.console.width - sum(least.values()) - 3 * len(columns))
    for row in rows:
        made.add_row(*(row[column] for column in columns))
    terminal.console.print(made)


def print_history(found: Sequence[Happening]) -> None:
    """One line an event."""
    made = terminal.table("", "position", "when", "what happened", right=("position",))
    for happening in found:
        made.add_row(
            "" if happening.position is None else f"{happening.position:,}",
            terminal.moment(happening.time),
            terminal.text(happening.sentence),
        )
    terminal.console.print(made)


_DETERMINISM = {
    "bytes": "the same request gives the same bytes",
    "seeded": "the same request and seed give the same bytes on the same device",
    "none": "never the same twice",
}
"""How `show` says how far an engine repeats itself."""
_MEASURES = {
    "loudness_lufs": ("loudness", "{:.1f} LUFS"),
    "true_peak_dbtp": ("true peak", "{:.1f} dBTP"),
    "silence_share": ("silence", "{:.0%}"),
    "speech_rate": ("speech rate", "{:.1f} letters/s"),
}
"""How `show` says what was measured of a clip's sound."""


def print_clip(clip: Clip, made: GenerationCompleted | None) -> None:
    """Print everything about one clip, a line each, and how it was made, where that is on record."""
    facts = terminal.table("", "what", "value")
    for name, value in (_told(clip) | (_made(made) if made is not None else {})).items():
        if value not in (None, "", False):
            facts.add_row(name.replace("_", " "), terminal.text("yes" if value is True else value))
    terminal.console.print(facts)


def _told(clip: Clip) -> dict[str, object]:
    """What `show` says, in words and with units; what is unknown is None or empty."""
    facts: dict[str, object] = {
        **clip.as_dict(),
        "created": terminal.moment(clip.created),
        "pinned_until": terminal.moment(clip.pinned_until) if clip.pinned and clip.pinned_until else None,
        "duration": f"{clip.duration:.2f} s",
        "bytes": terminal.size(clip.bytes),
        "sample_rate": f"{clip.sample_rate:,} Hz",
        "tags": ", ".join(clip.tags),
        "dropped": ", ".join(clip.dropped),
        "suspect": ", ".join(clip.suspect).replace("_", " "),
        "text": clip.text,
    }
    for name, (words, form) in _MEASURES.items():
        if (value := facts.pop(name)) is not None:
            facts[words] = form.format(value)
    return facts


def _made(record: GenerationCompleted) -> dict[str, object]:
    """How it was made, as `show` says it."""
    times = {
        "waiting": record.queue_us, "loading": record.load_us, "speaking": record.synthesis_us, "audio chain": record.audio_us,
        "encoding": record.encode_us,
    }  # fmt: skip
    return {
        "engine": f"{record.engine} {record.engine_version}",
        "model": f"{record.model} ({record.model_revision})" if record.model_revision else record.model,
        "device": record.device,
        "determinism": _DETERMINISM.get(record.determinism, record.determinism),
        "seed": "" if record.seed is None else str(record.seed),
        "sampling": ", ".join(f"{name} {value:g}" for name, value in record.sampling.items()),
        "emotion": record.emotion if record.emotion_mode in ("none", "vector") else f"{record.emotion}, from {record.emotion_mode}",
        "emotion_asked": _weights(record.emotion_asked),
        "emotion_applied": _weights(record.emotion_effective),
        "strength": "" if record.emotion_strength == 1 else f"{record.emotion_strength:g}",
        "segments": f"{record.segments:,}" + (f", {record.segments_cached:,} of them there already" if record.segments_cached else ""),
        "times": ", ".join(f"{name} {_seconds(amount)}" for name, amount in times.items() if amount),
    }  # fmt: skip


def _weights(weights: Sequence[float]) -> str:
    return ", ".join(f"{name} {weight:.2g}" for name, weight in zip(EMOTIONS, weights, strict=True) if weight)


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1e6:,.2f} s" if microseconds >= 1e6 else f"{microseconds / 1e3:.3g} ms"
