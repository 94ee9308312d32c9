"""The audio chain: from an engine's waveform to a file of known loudness, true peak and bytes."""

from voxledger.synth.audio.chain import (
    CEILING_DBTP,
    MAX_OFFSET_DB,
    TARGET_LUFS,
    Processed,
    join,
    process,
)
from voxledger.synth.audio.decode import reading
from voxledger.synth.audio.encode import Encoded, encode
from voxledger.synth.audio.long import LongClip, LongMade
from voxledger.synth.audio.loudness import integrated_loudness
from voxledger.synth.audio.many import process_many
from voxledger.synth.audio.measure import AudioMeasures, measure
from voxledger.synth.audio.mel import log_mel, log_mel_distance
from voxledger.synth.audio.one_core import give_way, on_one_core
from voxledger.synth.audio.peak import Limited, limit, true_peak_dbtp
from voxledger.synth.audio.preview import Preview
from voxledger.synth.audio.resample import resample
from voxledger.synth.audio.spectrogram import plain_spectrogram_of_file, spectrogram, spectrogram_of_file
from voxledger.synth.audio.suspect import REASONS, speech_rate, suspects
from voxledger.synth.audio.trim import Silences, trim
from voxledger.synth.audio.waveform import coarser, peaks, peaks_of_file
from voxledger.synth.formats import FORMATS, AudioFormat, format_named

__all__ = [
    "CEILING_DBTP",
    "FORMATS",
    "MAX_OFFSET_DB",
    "REASONS",
    "TARGET_LUFS",
    "AudioFormat",
    "AudioMeasures",
    "Encoded",
    "Limited",
    "LongClip",
    "LongMade",
    "Preview",
    "Processed",
    "Silences",
    "coarser",
    "encode",
    "format_named",
    "give_way",
    "integrated_loudness",
    "join",
    "limit",
    "log_mel",
    "log_mel_distance",
    "measure",
    "on_one_core",
    "peaks",
    "peaks_of_file",
    "plain_spectrogram_of_file",
    "process",
    "process_many",
    "reading",
    "resample",
    "spectrogram",
    "spectrogram_of_file",
    "speech_rate",
    "suspects",
    "trim",
    "true_peak_dbtp",
]
