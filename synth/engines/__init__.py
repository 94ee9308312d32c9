"""Engines: whatever turns text into a waveform, behind one small protocol."""

from voxledger.synth.engines.base import Engine, EngineInfo, Segment, SynthesisRequest
from voxledger.synth.engines.registry import load, names

__all__ = ["Engine", "EngineInfo", "Segment", "SynthesisRequest", "load", "names"]
