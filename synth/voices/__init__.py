"""Voices: registered recordings, the consent they stand on, and the one place that says whether one may be used now."""

from voxledger.synth.voices.records import Recording, Use, Voice, VoiceState, Withdrawn
from voxledger.synth.voices.voices import Voices

__all__ = ["Recording", "Use", "Voice", "VoiceState", "Voices", "Withdrawn"]
