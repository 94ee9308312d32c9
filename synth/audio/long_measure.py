"""Measures of sound that lies in a file: a stretch at a time, so that ten minutes take no more memory than a few seconds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxledger.synth.audio.fir import magnitude
from voxledger.synth.audio.loudness import HopPowers, k_context, k_weighted
from voxledger.synth.audio.measure import AudioMeasures, clipped_samples, measure, measures_of
from voxledger.synth.audio.peak import BLOCK, true_peak_envelope
from voxledger.synth.audio.stretches import STRETCH_S, stretches
from voxledger.synth.audio.trim import FramePeaks, Silences, sounding_frames

_EDGE = 2
"""Blocks of an envelope that a cut may spoil."""


def measure_raw(path: Path, sample_rate: int) -> AudioMeasures:
    """What `measure` says of a file of mono float32 samples, full scale = 1, of this machine's byte order.

    Levels may differ in the last decimal, because sums are formed in another order.
    """
    count = path.stat().st_size // 4
    if count <= STRETCH_S * sample_rate:
        return measure(_read(path, 0, count), sample_rate)
    before, after = ((-(-samples // BLOCK) + _EDGE) * BLOCK for samples in k_context(sample_rate))
    hops, peaks = HopPowers(sample_rate), FramePeaks(sample_rate)
    true_peak, sample_peak, clipped = 0.0, 0.0, 0
    with torch.inference_mode():
        for start, end in stretches(count, sample_rate):
            first = max(0, start - before)
            around, skip = _read(path, first, min(count, end + after)), start - first
            inner = around[skip : skip + end - start]
            hops.add(k_weighted(around.to(torch.float64), sample_rate)[skip : skip + end - start])
            peaks.add(inner)
            clipped += clipped_samples(inner)
            sample_peak = max(sample_peak, float(magnitude(inner)))
            envelope = true_peak_envelope(around, above=max(true_peak, sample_peak))
            true_peak = max(true_peak, float(envelope[skip // BLOCK :][: -(-(end - start) // BLOCK)].amax()))
    return measures_of(
        duration_s=count / sample_rate,
        loudness_lufs=hops.loudness if math.isfinite(hops.loudness) else None,
        peak_dbtp=20 * math.log10(true_peak) if true_peak else None,
        sample_peak=sample_peak,
        clipped_samples=clipped,
        silence_share=sounding_frames(peaks.values, count, sample_rate, Silences()).silence_share,
    )


def _read(path: Path, start: int, end: int) -> Tensor:
    return torch.from_numpy(np.fromfile(path, dtype=np.float32, count=end - start, offset=4 * start))
