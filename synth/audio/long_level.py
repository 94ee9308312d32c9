"""The level of a clip that does not fit into memory: `level`, a stretch at a time, with its numbers on disk."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxledger.catalog.lazy import lazy
from voxledger.synth.audio.fir import magnitude
from voxledger.synth.audio.level import behind, forecast_hop, lowest_of_interest, nominal_gain, powers_of
from voxledger.synth.audio.loudness import HopPowers, k_context, k_weighted, overlapped
from voxledger.synth.audio.measure import AudioMeasures, measures_of
from voxledger.synth.audio.memory import give_back
from voxledger.synth.audio.peak import (
    BLOCK,
    aim_of,
    apply_curve,
    curve_context,
    gain_curve,
    to_pcm16_grid,
    true_peak_envelope,
    under,
)
from voxledger.synth.audio.spool import Spool
from voxledger.synth.audio.stretches import GIVE_BACK, Stretches, stretches
from voxledger.synth.audio.trim import FramePeaks, Silences, sounding_frames

Between = Callable[[], None]
"""Called between two stretches; what it raises ends the work."""
_EDGE = 2
"""Blocks of an envelope that a cut may spoil."""
_FORECAST_HOPS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """A clip at its level: 16-bit samples on disk, and what was measured of them."""

    samples: Spool = field(repr=False)
    rate: int
    peaks: FramePeaks = field(repr=False)
    sample_peak: float
    true_peak: float
    loudness_lufs: float
    gain_db: float
    limited: bool

    @property
    def measures(self) -> AudioMeasures:
        """As `measure` would have them."""
        where = sounding_frames(self.peaks.values, self.samples.count, self.rate, Silences())
        return measures_of(
            duration_s=self.samples.count / self.rate,
            loudness_lufs=self.loudness_lufs if math.isfinite(self.loudness_lufs) else None,
            peak_dbtp=20 * math.log10(self.true_peak) if self.true_peak else None,
            sample_peak=self.sample_peak,
            clipped_samples=0,  # the ceiling lies below full scale
            silence_share=where.silence_share,
        )


class LongLeveller:
    """A clip on disk before its gain. Reads it once when it is made, and once each time it is rendered."""

    def __init__(
        self, clip: Stretches, folder: Path, *, target_lufs: float, ceiling_dbtp: float, between: Between
    ) -> None:
        self._clip = clip
        self._folder = folder
        self._target = target_lufs
        self._ceiling = ceiling_dbtp
        self._between = between
        self._weighting = [-(-samples // BLOCK) + _EDGE for samples in k_context(clip.rate)]
        self._powers, self._envelope = Spool(folder, np.float32), Spool(folder, np.float32)
        self._peak = torch.zeros((), dtype=torch.float64)
        self._highest = 0.0
        self._hops = HopPowers(clip.rate)
        for start, end in stretches(clip.count, clip.rate):
            between()
            self._analyse(start, end)

    @lazy
    def loudness(self) -> float:
        """Integrated loudness before the gain, LUFS."""
        return self._hops.loudness

    @lazy
    def nominal(self) -> float:
        """The gain (dB) between that and the target. Raises AudioFailed if it has no loudness."""
        return nominal_gain(self.loudness, self._target)

    @property
    def limits(self) -> bool:
        """Whether the limiter has to work at the nominal gain."""
        return self._limits(self.nominal)

    def forecast(self, gain_db: float | None) -> Tensor:
        """K-weighted powers of about 400 ms each behind the limiter at this gain, without the gain; see `Leveller`."""
        hop = forecast_hop(self._clip.rate)
        hops = self._powers.count // hop
        found = array("d")
        for number, first in enumerate(range(0, hops, _FORECAST_HOPS), 1):
            start, end = first * hop, min(hops, first + _FORECAST_HOPS) * hop
            powers = torch.from_numpy(np.asarray(self._powers.read(start, end), dtype=np.float64))
            if gain_db is not None:
                powers = behind(powers, self._forecast_curve(start, end, 10 ** (gain_db / 20)))
            found.frombytes(powers.reshape(-1, hop).mean(-1).numpy().tobytes())
            if number % GIVE_BACK == 0:
                give_back()
        return overlapped(torch.from_numpy(np.array(found)))

    def unlimited(self) -> Rendered:
        """The clip with the nominal gain, which does not need the limiter: its loudness is known."""
        return self._under(self.nominal, self.loudness + self.nominal)

    def at(self, gain_db: float) -> Rendered:
        """The clip with this gain and the limiter; its loudness is measured."""
        return self._under(gain_db, None)

    def _under(self, gain_db: float, loudness_lufs: float | None) -> Rendered:
        return under(self._ceiling, lambda threshold, scale: self._rendered(gain_db, threshold, scale, loudness_lufs))

    def _limits(self, gain_db: float) -> bool:
        return self._highest * 10 ** (gain_db / 20) > aim_of(self._ceiling)

    def _analyse(self, start: int, end: int) -> None:
        samples, skip = self._clip.around(start, end, *self._weighting)
        weighted = k_weighted(samples, self._clip.rate)[skip : skip + end - start]
        self._hops.add(weighted)
        self._powers.append(powers_of(weighted).numpy())
        blocks = -(-(end - start) // BLOCK)
        envelope = true_peak_envelope(samples)[skip // BLOCK :][:blocks]
        self._envelope.append(envelope.numpy())
        self._highest = max(self._highest, float(envelope.amax()))
        self._peak = torch.maximum(self._peak, magnitude(samples))

    def _forecast_curve(self, start: int, end: int, gain: float) -> Tensor:
        before, after = curve_context(self._clip.rate)
        first, last = max(0, start - before), min(self._envelope.count, end + after)
        envelope = torch.from_numpy(np.asarray(self._envelope.read(first, last), dtype=np.float64))
        curve = gain_curve(envelope * gain, self._clip.rate, aim_of(self._ceiling))
        return curve[start - first : end - first + 1]

    def _rendered(self, gain_db: float, threshold: float, scale: float, loudness_lufs: float | None) -> Rendered:
        """One pass over the clip: gain curve, 16-bit steps, and the measures of what came out."""
        clip, rate = self._clip, self._clip.rate
        kept, peaks, hops = Spool(self._folder, "<i2"), FramePeaks(rate), HopPowers(rate)
        sample_peak = true_peak = 0.0
        for start, end in stretches(clip.count, rate):
            self._between()
            made, skip = self._stretch(start, end, gain_db, threshold, scale)
            inner = made[skip : skip + end - start]
            kept.append((inner * 32768).to(torch.int16).numpy())
            peaks.add(inner.to(torch.float32))
            sample_peak = max(sample_peak, float(magnitude(inner)))
            envelope = true_peak_envelope(made, above=max(true_peak, sample_peak))
            true_peak = max(true_peak, float(envelope[skip // BLOCK :][: -(-(end - start) // BLOCK)].amax()))
            if loudness_lufs is None:
                hops.add(k_weighted(made, rate)[skip : skip + end - start])
        return Rendered(
            samples=kept,
            rate=rate,
            peaks=peaks,
            sample_peak=sample_peak,
            true_peak=true_peak,
            loudness_lufs=hops.loudness if loudness_lufs is None else loudness_lufs,
            gain_db=gain_db,
            limited=self._limits(gain_db),
        )

    def _stretch(self, start: int, end: int, gain_db: float, threshold: float, scale: float) -> tuple[Tensor, int]:
        """The finished samples of a stretch and of what weighting them needs around it, and how many come before."""
        (before, after), (ahead, behind_) = self._weighting, curve_context(self._clip.rate)
        samples, skip = self._clip.around(start, end, before + ahead + _EDGE, after + behind_ + _EDGE)
        lowest = lowest_of_interest(self.nominal, self._ceiling)
        gain = 10 ** (gain_db / 20)
        envelope = true_peak_envelope(samples, above=lowest, peak=self._peak)
        made = apply_curve(samples * gain, gain_curve(envelope * gain, self._clip.rate, threshold))
        inside = max(0, skip - before * BLOCK)
        wanted = to_pcm16_grid((made if scale == 1 else made * scale)[inside : skip + (end - start) + after * BLOCK])
        return wanted, skip - inside
