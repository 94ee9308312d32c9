"""The level of many clips at once: `level`, a row each, on a processor or an accelerator.

The rows do what `level` does, with the same bits, as far as nearly all clips need it: one gain that a forecast finds,
one pass of the limiter. The few that need a second go to `level` itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

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
    to_pcm16_grid,
    true_peak,
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
        return _Rows(samples, counts, sample_rate, targets, ceiling_dbtp).levelled()


class _Rows:
    def __init__(
        self, samples: Tensor, counts: Sequence[int], rate: int, targets: Sequence[float], ceiling_dbtp: float
    ) -> None:
        self._samples, self._rate, self._targets, self._ceiling = samples, rate, targets, ceiling_dbtp
        self._counts = torch.tensor(counts, device=samples.device)
        weighted = self._zeroed(k_weighted(samples, rate))
        self._loudness = self._loudness_of(weighted)
        self._powers = powers_of(weighted)
        self._nominal = [nominal_gain(*pair) for pair in zip(self._loudness, targets, strict=True)]
        self._envelope = self._peaks()

    def levelled(self) -> list[Levelled]:
        aim = aim_of(self._ceiling)
        highest = self._envelope.amax(-1).tolist()
        limited = [peak * 10 ** (gain / 20) > aim for peak, gain in zip(highest, self._nominal, strict=True)]
        made: dict[int, Levelled] = {}
        for limits in (False, True):
            rows = [row for row, each in enumerate(limited) if each is limits]
            if rows:
                gains = self._forecast_gains(rows) if limits else [self._nominal[row] for row in rows]
                made |= self._rendered(rows, gains, limits)
        return [made[row] for row in range(len(limited))]

    def _rendered(self, rows: list[int], gains: list[float], limits: bool) -> dict[int, Levelled]:
        factors = self._column([10 ** (gain / 20) for gain in gains])
        sound = self._samples[rows] * factors
        if limits:
            sound = apply_curve(sound, gain_curve(self._envelope[rows] * factors, self._rate, aim_of(self._ceiling)))
        sound = to_pcm16_grid(sound)
        peaks = true_peak(sound).tolist()
        if limits:
            loudness = self._loudness_of(self._zeroed(k_weighted(sound, self._rate), rows), rows)
        else:
            loudness = [self._loudness[row] + self._nominal[row] for row in rows]
        made = {}
        for place, row in enumerate(rows):
            reached = abs(loudness[place] - self._targets[row]) <= TOLERANCE_LU
            driven = gains[place] >= self._nominal[row] + MAX_DRIVE_DB
            if peaks[place] > 10 ** (self._ceiling / 20) or (limits and not (reached or driven)):
                made[row] = self._alone(row)
            else:
                made[row] = Levelled(
                    samples=sound[place, : int(self._counts[row])],
                    true_peak_dbtp=20 * math.log10(peaks[place]),
                    loudness_lufs=loudness[place],
                    gain_db=gains[place],
                    limited=limits,
                )
        return made

    def _alone(self, row: int) -> Levelled:
        return level(
            self._samples[row, : int(self._counts[row])],
            self._rate,
            target_lufs=self._targets[row],
            ceiling_dbtp=self._ceiling,
        )

    def _forecast_gains(self, rows: list[int]) -> list[float]:
        """The gain of each row that the forecast finds; all searches go on side by side."""
        offsets = [self._loudness[row] - value for row, value in zip(rows, self._forecast(rows, None), strict=True)]
        searches = [
            gain_search(self._targets[row], start=self._nominal[row], most=self._nominal[row] + MAX_DRIVE_DB)
            for row in rows
        ]
        asked = {place: next(search) for place, search in enumerate(searches)}
        found = [0.0] * len(rows)
        while asked:
            values = self._forecast([rows[place] for place in asked], list(asked.values()))
            for (place, gain), value in zip(list(asked.items()), values, strict=True):
                try:
                    asked[place] = searches[place].send(value + offsets[place] + gain)
                except StopIteration as end:
                    found[place] = end.value
                    del asked[place]
        return found

    def _forecast(self, rows: list[int], gains: list[float] | None) -> list[float]:
        powers = self._powers[rows]
        if gains is not None:
            factors = self._column([10 ** (gain / 20) for gain in gains])
            curve = gain_curve(self._envelope[rows] * factors, self._rate, aim_of(self._ceiling))
            powers = behind(powers, curve)
        hop = forecast_hop(self._rate)
        blocks = torch.div(self._counts[rows] + BLOCK - 1, BLOCK, rounding_mode="floor")
        return self._gated(powers, hop, torch.div(blocks, hop, rounding_mode="floor"))

    def _loudness_of(self, weighted: Tensor, rows: list[int] | None = None) -> list[float]:
        counts = self._counts if rows is None else self._counts[rows]
        hop = hop_samples(self._rate)
        return self._gated(weighted.square(), hop, torch.div(counts, hop, rounding_mode="floor"))

    def _gated(self, powers: Tensor, hop: int, hops: Tensor) -> list[float]:
        """Gated loudness of each row from its first `hops` hops of `hop` powers."""
        most = powers.shape[-1] // hop
        blocks = overlapped(torch.unflatten(powers[:, : most * hop], -1, (most, hop)).mean(-1))
        inside = torch.arange(blocks.shape[-1], device=powers.device) <= (hops - HOPS_PER_BLOCK).unsqueeze(-1)
        # Nothing is under the absolute gate, and so in no mean.
        found: list[float] = gated_loudness(torch.where(inside, blocks, 0.0)).tolist()
        return found

    def _peaks(self) -> Tensor:
        """The true-peak envelope of each row; what rings on after its end belongs to its last block."""
        above = self._column([lowest_of_interest(nominal, self._ceiling) for nominal in self._nominal])
        envelope = true_peak_envelope(self._samples, above=above)
        last = torch.div(self._counts - 1, BLOCK, rounding_mode="floor").unsqueeze(-1)
        behind_end = (last + 1).clamp_max(envelope.shape[-1] - 1)
        ringing = torch.maximum(envelope.gather(-1, last), envelope.gather(-1, behind_end))
        envelope.scatter_(-1, last, ringing)
        return torch.where(torch.arange(envelope.shape[-1], device=last.device) <= last, envelope, 0.0)

    def _zeroed(self, values: Tensor, rows: list[int] | None = None) -> Tensor:
        counts = self._counts if rows is None else self._counts[rows]
        return torch.where(torch.arange(values.shape[-1], device=values.device) < counts.unsqueeze(-1), values, 0.0)

    def _column(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._samples.device).unsqueeze(-1)
