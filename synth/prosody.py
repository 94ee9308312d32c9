"""What an emotion does to a voice: one table, from the phonetics of emotional speech, and how mixtures blend.

Sources, by the key used in the table:

- [MA93]  I. R. Murray, J. L. Arnott, "Toward the simulation of emotion in synthetic speech", JASA 93 (1993): a table
          of rate, pitch, range, intensity, voice quality and articulation for anger, joy, sadness, fear and disgust.
- [BS96]  R. Banse, K. R. Scherer, "Acoustic profiles in vocal emotion expression", J. Pers. Soc. Psych. 70 (1996).
- [BS00]  F. Burkhardt, W. F. Sendlmeier, "Verification of acoustical correlates of emotional speech using formant
          synthesis", ISCA Workshop on Speech and Emotion (2000): what listeners take for which emotion.
- [S01]   M. Schröder, "Emotional speech synthesis: a review", Eurospeech (2001).
- [S03]   K. R. Scherer, "Vocal communication of emotion: a review of research paradigms", Speech Comm. 40 (2003).
- [JL03]  P. N. Juslin, P. Laukka, "Communication of emotions in vocal expression and music performance: different
          channels, same code?", Psych. Bull. 129 (2003).

The directions are theirs. The sizes are ours: as large as a formant synthesizer can be pushed and still sound like the
same speaker, checked by measuring what comes out (`benchmarks/emotion.py`, docs/emotion.md).
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, fields
from functools import lru_cache

from voxledger.catalog.events import EMOTIONS
from voxledger.synth.emotion import Emotion, Weights

LEVEL_LIMIT = 4.0
"""Delivered loudness never departs from the target by more than this many dB."""
_SENTENCE_PAUSE_S = 0.35
_PARAGRAPH_PAUSE_S = 0.7


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """How to speak, relative to the voice's own way; the defaults change nothing."""

    rate: float = 1.0
    """Speaking rate, a factor."""
    pitch: float = 0.0
    """Level of the fundamental frequency, semitones."""
    range: float = 1.0
    """Size of the pitch movements, a factor."""
    level: float = 0.0
    """Loudness offset, dB. Applied after loudness normalisation, not by the engine."""
    pause: float = 1.0
    """Length of pauses, a factor."""
    rise: float = 0.0
    """How far a statement ends with a rising contour, 0..1."""
    brightness: float = 0.0
    """Spectral tilt: gain of what lies above 2 kHz against what lies below 600 Hz, dB."""
    breath: float = 0.0
    """Breathiness, 0..1."""
    roughness: float = 0.0
    """Creak and tension, 0..1."""
    tremor: float = 0.0
    """Irregularity of the pitch, -1 (none left) .. 0 (the voice's own) .. 1."""


NEUTRAL = Prosody()

TABLE: dict[str, Prosody] = {
    # F0 mean, range, rate, intensity and high-frequency energy all up [S03, JL03]; listeners took a wide range and a
    # faster, brighter voice for joy [BS00]; much higher, much wider [MA93].
    "happy": Prosody(rate=1.13, pitch=3.0, range=1.6, level=2.0, pause=0.8, brightness=3.0),
    # Faster, much louder, wide range, strong high frequencies, irregular voicing [JL03, BS96]; "breathy, chest tone",
    # tense articulation [MA93]; tense voice recognised best [BS00].
    "angry": Prosody(rate=1.16, pitch=1.5, range=1.5, level=4.0, pause=0.7, brightness=6.0, roughness=0.8),
    # F0 mean, range, rate, intensity and high-frequency energy all down [S03, JL03]; slower, narrower, resonant to
    # breathy [MA93]; more and longer pauses [JL03]; breathy, falsetto-free voice for quiet sorrow [BS00].
    "sad": Prosody(rate=0.84, pitch=-2.5, range=0.55, level=-3.5, pause=1.6, brightness=-5.0, breath=0.6),
    # F0 very much higher, faster, irregular voicing [MA93, BS96]; mean F0 up, little or mixed change of range, low to
    # middle intensity for anxiety [S03, JL03]; tremor, high pitch and speed recognised [BS00].
    "afraid": Prosody(rate=1.2, pitch=6.0, range=1.0, level=-1.0, pause=0.9, brightness=1.5, breath=0.2, tremor=1.0),
    # Very much slower and lower, grumbled [MA93]; slow, low to middle intensity [JL03]; findings differ most here.
    "disgusted": Prosody(rate=0.86, pitch=-3.0, range=0.9, level=-1.0, pause=1.3, brightness=-1.0, roughness=0.6),
    # Sorrow without its force: the profile of quiet sadness [BS00], which [JL03] gives the slowest rate; milder in
    # pitch, loudness and voice, slower and with longer pauses.
    "melancholic": Prosody(rate=0.78, pitch=-1.5, range=0.7, level=-2.0, pause=1.8, brightness=-3.0, breath=0.3),
    # High F0, very wide range, a steep final rise, faster [S01, where surprise is reviewed, and its sources].
    "surprised": Prosody(rate=1.05, pitch=4.5, range=1.9, level=1.5, pause=0.9, rise=1.0, brightness=2.0),
    # Low arousal: everything that activation raises goes down [S03 on the activation dimension; "tenderness" in JL03:
    # slow, low intensity, little variability, little high-frequency energy, low and regular F0].
    "calm": Prosody(rate=0.89, pitch=-1.0, range=0.7, level=-1.5, pause=1.3, brightness=-2.5, breath=0.1, tremor=-0.7),
}


def effective(emotion: Emotion) -> Weights:
    """The weights that count: times the strength, scaled down together where their sum exceeds 1."""
    scaled = emotion.scaled
    total = sum(scaled)
    if total <= 1:
        return scaled
    return tuple(weight / total for weight in scaled)  # type: ignore[return-value]  # as long as `scaled`


@lru_cache(maxsize=256)
def blend(weights: Weights) -> Prosody:
    """The prosody of a mixture: each value moves from neutral towards each emotion's by its weight, linearly."""
    values = {}
    for item in fields(Prosody):
        neutral = getattr(NEUTRAL, item.name)
        moves = (
            weight * (getattr(TABLE[name], item.name) - neutral)
            for name, weight in zip(EMOTIONS, weights, strict=True)
            if weight
        )
        values[item.name] = neutral + sum(moves)
    return Prosody(**values)


def pause(how: Prosody, *, paragraph: bool, speed: float = 1.0) -> float:
    """The silence (s) before a sentence, or a new paragraph, that follows another one; `speed` is a factor on the rate."""
    return (_PARAGRAPH_PAUSE_S if paragraph else _SENTENCE_PAUSE_S) * how.pause / (how.rate * speed)


def level_offset(weights: Weights) -> float:
    """How far the delivered loudness departs from the target for these effective weights: dB, within ±`LEVEL_LIMIT`."""
    return max(-LEVEL_LIMIT, min(LEVEL_LIMIT, blend(weights).level))


def revision() -> str:
    """Eight hex digits that change with the table, which decides the sound: a part of an engine's model revision."""
    written = repr([(name, astuple(TABLE[name])) for name in EMOTIONS])
    return hashlib.sha256(written.encode()).hexdigest()[:8]
