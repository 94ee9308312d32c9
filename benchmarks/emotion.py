"""What the emotions of the engine espeak sound like, in numbers: one sentence under each, measured.

Run: `python benchmarks/emotion.py [LANGUAGE] [TEXT] [VOICE]`. The figures for English stand in docs/emotion.md.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from voxledger.catalog.events import EMOTIONS
from voxledger.synth.emotion import Emotion
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine
from voxledger.synth.prosody import effective, level_offset

SENTENCE = "We walked along the river until the lamps were lit, and nobody said a word about tomorrow."

measure = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "synth" / "pitch.py"))["measure"]


def main(language: str = "en-US", text: str = SENTENCE, voice: str | None = None) -> None:
    """Speak, measure, print."""
    table = Table("emotion", title=f"{language}, {voice or 'default voice'}: “{text}”", title_justify="left")
    for heading in (
        "F0 Hz",
        "F0 st",
        "range st",
        "rate ×",
        "tilt dB",
        "HNR dB",
        "jitter st",
        "final rise st",
        "level dB",
    ):
        table.add_column(heading, justify="right")
    engine = EspeakEngine()
    plain = None
    for name in (None, *EMOTIONS):
        emotion = Emotion.of(name)
        asked = SynthesisRequest(text=text, language=language, voice=voice, emotion=emotion)
        segments = list(engine.synthesize(asked))
        found = measure(np.concatenate([segment.samples for segment in segments]), segments[0].sample_rate)
        plain = plain or found
        table.add_row(
            name or "neutral",
            f"{found.mean:.0f}",
            f"{12 * np.log2(found.mean / plain.mean):+.1f}",
            f"{found.range:.1f}",
            f"{plain.duration / found.duration:.2f}",
            f"{found.tilt - plain.tilt:+.1f}",
            f"{found.harmonicity:.1f}",
            f"{found.jitter:.2f}",
            f"{found.final_rise:+.1f}",
            f"{level_offset(effective(emotion)):+.1f}",
        )
    engine.close()
    Console().print(table)


if __name__ == "__main__":
    main(*sys.argv[1:])
