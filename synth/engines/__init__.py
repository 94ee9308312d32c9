"""Engines: whatever turns text into a waveform, behind one small protocol."""

from voxledger.synth.engines.base import Engine, EngineInfo, NeedsModel, Segment, SynthesisRequest
from voxledger.synth.engines.guarded import Guarded
from voxledger.synth.engines.registry import Listed, load, names, survey

__all__ = [
    "Engine",
    "EngineInfo",
    "Guarded",
    "Listed",
    "NeedsModel",
    "Segment",
    "SynthesisRequest",
    "load",
    "names",
    "survey",
]
