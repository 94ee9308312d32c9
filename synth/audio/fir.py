"""FIR filters as matrix products whose sums are exact, so that every machine gets the same bits.

A floating-point sum depends on its order, and the order inside a BLAS depends on the number of threads and on the
processor. So the filters here work on integers held in float64: samples are rounded to 22 bits below their peak
(an error 132 dB below it), coefficients to 24 bits. A product has at most 46 bits and a sum of absolute coefficients
below 16 adds at most 4: below the 53 bits a float64 holds exactly, whatever the order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SAMPLE_BITS = 22
COEFFICIENT_BITS = 24
COEFFICIENT_STEP = 2.0**-COEFFICIENT_BITS
_NOTHING = 1e-150
"""A peak this low is none: its reciprocal, on the way to the grid, could overflow."""
CHUNK_OUTPUTS = 1 << 16
"""Outputs of a row computed at a time: keeps the working set in the cache and the memory of long clips bounded."""
_CHUNK_ON_ACCELERATOR = 1 << 24
"""There, starting so small a product takes longer than the product."""


class Gridded(NamedTuple):
    """Samples as integers in float64, shape (..., n), and the power of two that one step stands for, shape (..., 1)."""

    values: Tensor
    step: Tensor


def to_grid(samples: Tensor, peak: Tensor | None = None) -> Gridded:
    """Round samples, shape (..., n), to `SAMPLE_BITS` bits below the power of two above the peak of each row.

    `peak`, shape (...), float64: that of the whole clip, where the samples are only a stretch of it.
    """
    samples = samples.to(torch.float64)
    if samples.ndim == 1:
        return _one_to_grid(samples, float(magnitude(samples) if peak is None else peak))
    peak = (magnitude(samples) if peak is None else peak).unsqueeze(-1)
    # The quotient of a number and its mantissa is a power of two, exactly; `pow` promises no such thing.
    mantissa, _ = torch.frexp(peak)
    scale = torch.where(peak > _NOTHING, mantissa / peak.clamp_min(_NOTHING), 1.0)
    grid = float(1 << SAMPLE_BITS)
    return Gridded((samples * (scale * grid)).round_(), 1.0 / (scale * grid))


def _one_to_grid(samples: Tensor, peak: float) -> Gridded:
    """The same for one clip, whose scale is a number: that spares ten calls of torch."""
    scale = (math.frexp(peak)[0] / peak if peak > _NOTHING else 1.0) * float(1 << SAMPLE_BITS)
    return Gridded((samples * scale).round_(), torch.tensor([1.0 / scale], dtype=torch.float64, device=samples.device))


def magnitude(values: Tensor) -> Tensor:
    """The largest absolute value along the last dimension: shape (..., n) -> (...)."""
    return values.abs().amax(-1)


def highest_around(values: Tensor, width: int) -> Tensor:
    """The highest of every `width` neighbours along the last dimension, shape (n,) or (rows, n) -> (..., n - width + 1)."""
    return torch.nn.functional.max_pool1d(values.unsqueeze(0), width, 1).squeeze(0)


def to_coefficients(kernel: npt.NDArray[np.float64]) -> Tensor:
    """Round filter coefficients to integers in float64, one step being 2 ** -24."""
    return torch.from_numpy(np.round(kernel * float(1 << COEFFICIENT_BITS)))


def filtered(windows: Tensor, kernel: Tensor) -> Iterator[Tensor]:
    """Filter overlapping windows of grid values, a chunk at a time.

    `windows` has shape (..., frames, width); `kernel` has shape (width, outputs) and comes from `to_coefficients`.
    Yields integers in float64 of shape (..., frames in this chunk, outputs), in order, in units of the grid's step
    times `COEFFICIENT_STEP`.
    """
    kernel = kernel.to(windows.device)
    at_once = CHUNK_OUTPUTS if windows.device.type == "cpu" else _CHUNK_ON_ACCELERATOR
    for chunk in windows.chunk(max(1, math.ceil(windows.shape[-2] * kernel.shape[-1] / at_once)), dim=-2):
        yield torch.matmul(chunk, kernel)
