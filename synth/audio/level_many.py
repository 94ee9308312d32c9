"""The level of many clips at once: `level`, a row each, on a processor or an accelerator.

The rows do what `level` does, with the same bits, as far as nearly all clips need it: one gain, or one that a forecast
finds and one pass of the limiter. The few that need a second go to `level` itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from voxledger.synth.audio.fir import magnitude
from voxledger.synth.audio.level import (
    MAX_DRIVE_DB,
    TOLERANCE_LU,
    Levelled,
    behind,
    forecast_hop,
    gain_search,
    level,
    lowest_of_interest,
    nominal_gain,
    powers_of,
)
from voxledger.synth.audio.loudness import HOPS_PER_BLOCK, gated_loudness, hop_samples, k_weighted, overlapped
from voxledger.synth.audio.peak import (
    BLOCK,
    aim_of,
    apply_curve,
    gain_curve,
    needs_limiter,
    plain_rows,
    true_peak_envelope,
)

SHORTEST_S = 0.5
"""Rows are at least this long: shorter clips have less than a block of loudness."""


def level_rows(
    samples: Tensor, counts: Sequence[int], sample_rate: int, *, targets: Sequence[float], ceiling_dbtp: float
) -> list[Levelled]:
    """Bring clips to their targets (LUFS): float64 rows, shape (clips, n), each with so many samples and zeros after.

    No row is shorter than `SHORTEST_S`. Raises AudioFailed if nothing audible is in one.
    """
    with torch.inference_mode():
        rows = _Rows(samples, list(counts), sample_rate)
        weighted = rows.weighted()
        loudness = rows.loudness(weighted)
        nominal = [nominal_gain(*pair) for pair in zip(loudness, targets, strict=True)]
        made = _unlimited(rows, loudness, nominal, ceiling_dbtp)
        loud = [row for row in range(len(nominal)) if row not in made]
        if loud:
            limited = _Limited(
                rows.only(loud),
                weighted[loud],
                [loudness[row] for row in loud],
                [nominal[row] for row in loud],
                [targets[row] for row in loud],
                ceiling_dbtp,
            )
            made |= dict(zip(loud, limited.levelled(), strict=True))
        return [made[row] for row in range(len(nominal))]


class _Rows:
    """Clips as rows, shape (clips, n), of so many samples each, shape (clips,)."""

    def __init__(self, samples: Tensor, lengths: list[int], rate: int) -> None:
        # Known here as well: to ask an accelerator for a number takes as long as a step of the chain.
        self.samples, self.lengths, self.rate = samples, lengths, rate
        self.counts = torch.tensor(lengths, device=samples.device)

    def only(self, rows: list[int]) -> _Rows:
        if len(rows) == len(self.samples):
            return self
        return _Rows(self.samples[rows], [self.lengths[row] for row in rows], self.rate)

    def clip(self, row: int, samples: Tensor | None = None) -> Tensor:
        """One of the clips, or the same stretch of other samples of that row."""
        return (self.samples[row] if samples is None else samples)[: self.lengths[row]]

    def weighted(self) -> Tensor:
        weighted = k_weighted(self.samples, self.rate)
        return torch.where(torch.arange(weighted.shape[-1], device=weighted.device) < self.counts[:, None], weighted, 0)

    def loudness(self, weighted: Tensor) -> list[float]:
        hop = hop_samples(self.rate)
        return _gated(weighted.square(), hop, torch.div(self.counts, hop, rounding_mode="floor"))

    def column(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self.samples.device).unsqueeze(-1)


def _unlimited(rows: _Rows, loudness: list[float], nominal: list[float], ceiling_dbtp: float) -> dict[int, Levelled]:
    """The clips that a gain alone brings to their level, by their rows."""
    gains = [10 ** (gain / 20) for gain in nominal]
    highest = magnitude(rows.samples).tolist()
    quiet = [row for row, gain in enumerate(gains) if highest[row] * gain <= aim_of(ceiling_dbtp)]
    if not quiet:
        return {}
    sound, peaks = plain_rows(rows.only(quiet).samples, rows.column([gains[row] for row in quiet]))
    return {
        row: Levelled(
            samples=rows.clip(row, samples),
            true_peak_dbtp=20 * math.log10(peak),
            loudness_lufs=loudness[row] + nominal[row],
            gain_db=nominal[row],
            limited=False,
        )
        for row, samples, peak in zip(quiet, sound, peaks.tolist(), strict=True)
        if not needs_limiter(rows.clip(row), gains[row], ceiling_dbtp, peak)
    }


class _Limited:
    """Rows that need the limiter, from their K-weighted samples, loudness and nominal gains."""

    def __init__(
        self,
        rows: _Rows,
        weighted: Tensor,
        loudness: list[float],
        nominal: list[float],
        targets: list[float],
        ceiling_dbtp: float,
    ) -> None:
        self._rows, self._loudness, self._nominal, self._targets = rows, loudness, nominal, targets
        self._ceiling = ceiling_dbtp
        self._powers = powers_of(weighted)
        self._envelope = self._peaks()

    def levelled(self) -> list[Levelled]:
        gains = self._forecast_gains()
        factors = self._rows.column([10 ** (gain / 20) for gain in gains])
        curve = gain_curve(self._envelope * factors, self._rows.rate, aim_of(self._ceiling))
        sound, peaks = plain_rows(apply_curve(self._rows.samples * factors, curve), 1.0)
        loudness = self._rows.loudness(_Rows(sound, self._rows.lengths, self._rows.rate).weighted())
        return [
            Levelled(
                samples=self._rows.clip(row, sound[row]),
                true_peak_dbtp=20 * math.log10(peak),
                loudness_lufs=loudness[row],
                gain_db=gains[row],
                limited=True,
            )
            if self._settled(row, gains[row], loudness[row], peak)
            else level(
                self._rows.clip(row), self._rows.rate, target_lufs=self._targets[row], ceiling_dbtp=self._ceiling
            )
            for row, peak in enumerate(peaks.tolist())
        ]

    def _settled(self, row: int, gain_db: float, loudness: float, peak: float) -> bool:
        """Whether `level` would leave it at this."""
        reached = abs(loudness - self._targets[row]) <= TOLERANCE_LU
        return peak <= 10 ** (self._ceiling / 20) and (reached or gain_db >= self._nominal[row] + MAX_DRIVE_DB)

    def _forecast_gains(self) -> list[float]:
        """The gain of each row that the forecast finds; all searches go on side by side."""
        every = list(range(len(self._nominal)))
        offsets = [known - value for known, value in zip(self._loudness, self._forecast(every, None), strict=True)]
        searches = [
            gain_search(target, start=nominal, most=nominal + MAX_DRIVE_DB)
            for target, nominal in zip(self._targets, self._nominal, strict=True)
        ]
        asked = {row: next(search) for row, search in enumerate(searches)}
        found = [0.0] * len(every)
        while asked:
            values = self._forecast(list(asked), list(asked.values()))
            for (row, gain), value in zip(list(asked.items()), values, strict=True):
                try:
                    asked[row] = searches[row].send(value + offsets[row] + gain)
                except StopIteration as end:
                    found[row] = end.value
                    del asked[row]
        return found

    def _forecast(self, rows: list[int], gains: list[float] | None) -> list[float]:
        powers = self._powers[rows]
        if gains is not None:
            factors = self._rows.column([10 ** (gain / 20) for gain in gains])
            curve = gain_curve(self._envelope[rows] * factors, self._rows.rate, aim_of(self._ceiling))
            powers = behind(powers, curve)
        hop = forecast_hop(self._rows.rate)
        blocks = torch.div(self._rows.counts[rows] + BLOCK - 1, BLOCK, rounding_mode="floor")
        return _gated(powers, hop, torch.div(blocks, hop, rounding_mode="floor"))

    def _peaks(self) -> Tensor:
        """The true-peak envelope of each row; what rings on after its end belongs to its last block."""
        above = self._rows.column([lowest_of_interest(nominal, self._ceiling) for nominal in self._nominal])
        envelope = true_peak_envelope(self._rows.samples, above=above)
        last = torch.div(self._rows.counts - 1, BLOCK, rounding_mode="floor").unsqueeze(-1)
        behind_end = (last + 1).clamp_max(envelope.shape[-1] - 1)
        ringing = torch.maximum(envelope.gather(-1, last), envelope.gather(-1, behind_end))
        envelope.scatter_(-1, last, ringing)
        return torch.where(torch.arange(envelope.shape[-1], device=last.device) <= last, envelope, 0.0)


def _gated(powers: Tensor, hop: int, hops: Tensor) -> list[float]:
    """Gated loudness of each row from its first `hops` hops of `hop` powers."""
    most = powers.shape[-1] // hop
    blocks = overlapped(torch.unflatten(powers[:, : most * hop], -1, (most, hop)).mean(-1))
    inside = torch.arange(blocks.shape[-1], device=powers.device) <= (hops - HOPS_PER_BLOCK).unsqueeze(-1)
    # Nothing is under the absolute gate, and so in no mean.
    found: list[float] = gated_loudness(torch.where(inside, blocks, 0.0)).tolist()
    return found
