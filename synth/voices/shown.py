"""How voices look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from voxledger.catalog import terminal
from voxledger.catalog.clip import Clip
from voxledger.catalog.query.shown import print_clips
from voxledger.synth.voices.records import Voice, Withdrawn

_STATES = {"registered": "green", "expired": "yellow", "withdrawn": "red", "erased": "dim"}


def _line(voice: Voice, what: str, colour: str) -> str:
    name = escape(str(terminal.text(voice.name or "(no name)")))
    return f"[bold]{name}[/] [{colour}]{what}[/] [dim]·[/] {voice.short}"


def print_added(voice: Voice, waits_for: str | None) -> None:
    """What was registered; `waits_for` is why it is not in the store yet."""
    channels = "mono" if voice.channels == 1 else "stereo"
    loudness = f" · {voice.loudness_lufs:.1f} LUFS" if voice.loudness_lufs is not None else ""
    terminal.console.print(f"{_line(voice, 'registered', 'green')} [dim]·[/] {_consent(voice)}")
    terminal.console.print(
        f"{terminal.length((voice.duration_us or 0) / 1e6)}, {terminal.length((voice.speech_us or 0) / 1e6)} of speech"
        f" · {(voice.sample_rate or 0) / 1000:g} kHz {channels}{loudness}"
    )
    terminal.console.print(terminal.text(voice.path), soft_wrap=True)
    if waits_for is None:
        terminal.console.print(terminal.text(f"s3://{voice.bucket}/{voice.key}"), style="green", soft_wrap=True)
    else:
        terminal.console.print(terminal.text(f"not uploaded yet: {waits_for}"), style="yellow", soft_wrap=True)
    for warning in voice.warnings:
        terminal.console.print("[yellow]note:[/] ", terminal.text(warning), sep="", soft_wrap=True)


def _consent(voice: Voice) -> str:
    basis = "own voice" if voice.consent == "own" else "consent document"
    scope = "" if voice.scope in (None, "any") else f" for {voice.scope}"
    until = "" if voice.expires is None else f" until {voice.expires.astimezone():%Y-%m-%d}"
    return f"{basis}{scope}{until}"


def print_withdrawn(found: Withdrawn, clips: Sequence[Clip]) -> None:
    """The end of a voice; `clips` are the newest that were made with it."""
    terminal.console.print(_line(found.voice, "withdrawn", "red"))
    if len(found.voice.names) > 1:
        terminal.console.print(f"It is withdrawn under all its names: {', '.join(map(escape, found.voice.names))}.")
    if found.use is None:
        terminal.console.print(f"What was made with it: voxledger clips --voice {found.voice.short}", soft_wrap=True)
    elif clips:
        terminal.console.print(
            f"{terminal.count(found.use.clips, 'clip was', 'clips were')} made with it,"
            f" {terminal.length(found.use.duration_us / 1e6)} in all; the newest:"
        )
        print_clips(clips)
        terminal.console.print(
            f"[dim]all of them:[/] voxledger clips --voice {found.voice.short} --limit {found.use.clips}",
            soft_wrap=True,
        )
    else:
        terminal.console.print("Nothing was ever made with it.")
    for other in found.others:
        terminal.console.print(
            f"[yellow]note:[/] another recording that had this name may still be used: voxledger voices withdraw {other.short}",
            soft_wrap=True,
        )


def print_list(found: Sequence[Voice], uses: Mapping[str, int]) -> None:
    """As many columns as the terminal has room for: a cut name helps nobody."""
    wide = terminal.console.width >= 110
    least = {"voice": 8, "id": 12, "state": 10, "consent": 8, "until": 10, "clips": 5}
    columns = ["voice", "id", "state", *(["length", "scope", "by"] if wide else []), "consent", "until", "clips"]
    made = terminal.table("", *columns, right=("length", "clips"))
    for column in made.columns:
        column.no_wrap, column.overflow, column.min_width = True, "ellipsis", least.get(str(column.header))
        if str(column.header) == "voice" and not wide:
            column.max_width = max(8, terminal.console.width - sum(least.values()) + least["voice"] - 3 * len(columns))
    for voice in reversed(found):
        names = ", ".join(voice.names)
        cells: dict[str, Any] = {
            "voice": terminal.text(names or (f"({voice.name})" if voice.name else "·")),
            "id": voice.short,
            "state": f"[{_STATES[voice.state]}]{voice.state}[/]",
            "length": "·" if voice.duration_us is None else terminal.length(voice.duration_us / 1e6),
            "scope": voice.scope or "·",
            "by": terminal.text(voice.actor or "·"),
            "consent": voice.consent or "·",
            "until": "·" if voice.expires is None else f"{voice.expires.astimezone():%Y-%m-%d}",
            "clips": f"{uses.get(voice.sha256, 0):,}",
        }
        made.add_row(*(cells[column] for column in columns))
    terminal.console.print(made)
    if any(not voice.names and voice.name for voice in found):
        terminal.console.print("[dim]A name in brackets leads to a newer recording now.[/]")


def print_voice(voice: Voice, told: Mapping[str, Any]) -> None:
    """Everything about one; `told` adds what only the catalog knows."""
    facts = terminal.table("", "what", "value")
    clips = f"{terminal.count(told['clips'], 'clip')}, {terminal.length(told['clips_duration_us'] / 1e6)}"
    shown = {
        "name": ", ".join(voice.names) or (f"{voice.name} (leads to a newer recording now)" if voice.name else None),
        "state": voice.state,
        "registered": f"{terminal.moment(voice.registered)} by {voice.actor or '(erased)'}",
        "consent": None if voice.consent is None else _consent(voice),
        "expires": voice.expires and terminal.moment(voice.expires),
        "withdrawn": voice.withdrawn and terminal.moment(voice.withdrawn),
        "reason": told["withdrawal_reason"],
        "length": voice.duration_us and terminal.length(voice.duration_us / 1e6),
        "speech": voice.speech_us and terminal.length(voice.speech_us / 1e6),
        "sample rate": voice.sample_rate and f"{voice.sample_rate:,} Hz",
        "channels": voice.channels,
        "loudness": None if voice.loudness_lufs is None else f"{voice.loudness_lufs:.1f} LUFS",
        "size": voice.bytes and terminal.size(voice.bytes),
        "made with it": clips if told["clips"] else "nothing",
    }
    for name, value in shown.items():
        if value not in (None, ""):
            facts.add_row(name, terminal.text(value))
    terminal.console.print(facts)
    # Without a frame, so that they can be copied.
    terminal.console.print(terminal.text(voice.sha256), soft_wrap=True)
    for path in (voice.path, voice.consent_path):
        if path:
            terminal.console.print(terminal.text(path), soft_wrap=True)
    if voice.key:
        terminal.console.print(terminal.text(f"s3://{voice.bucket}/{voice.key}"), style="green", soft_wrap=True)
