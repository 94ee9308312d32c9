"""Many clips through the chain at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from voxledger.synth.audio.chain import (
    CEILING_DBTP,
    TARGET_LUFS,
    Prepared,
    Processed,
    Sound,
    check,
    delivered,
    prepare,
    wanted_lufs,
)
from voxledger.synth.audio.level import Levelled, level
from voxledger.synth.audio.level_many import SHORTEST_S, level_rows
from voxledger.synth.audio.one_core import on_all_cores
from voxledger.synth.audio.resample import resample
from voxledger.synth.audio.trim import Silences

AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 25}
"""Delivered samples in a batch: what stays in a core's cache, or keeps an accelerator busy."""
_PADDING = 1.25
"""The longest clip of a batch is at most so many times as long as the shortest."""


def process_many(
    clips: Sequence[Sound | Iterable[Sound]],
    sample_rate: int,
    *,
    target_rate: int | None = None,
    level_offsets_db: float | Sequence[float] = 0.0,
    target_lufs: float = TARGET_LUFS,
    ceiling_dbtp: float = CEILING_DBTP,
    silences: Silences | None = None,
    device: torch.device | str = "cpu",
) -> list[Processed]:
    """What `process` makes of each clip, in order: the same samples and measures, bit for bit.

    Clips of about the same length are padded to batches; on a processor, the batches go to all cores. On an accelerator
    the filters are as exact, but its Fourier transforms are others: a loudness within 1e-9 LU of a rounding border may
    be rounded the other way, and the gain with it, by 0.001 dB. `level_offsets_db` is one for all, or one for each.

    Raises what `process` raises for the first clip that it refuses.
    """
    offsets = [level_offsets_db] * len(clips) if isinstance(level_offsets_db, int | float) else list(level_offsets_db)
    if len(offsets) != len(clips):
        raise ValueError(f"there are {len(clips)} clips and {len(offsets)} level offsets")
    for offset in offsets:
        check(sample_rate, target_rate, offset, target_lufs, ceiling_dbtp)
    rate, silences, where = target_rate or sample_rate, silences or Silences(), torch.device(device)
    with torch.inference_mode():
        ready = [prepare(clip, sample_rate, silences) for clip in clips]
    targets = [wanted_lufs(target_lufs, offset) for offset in offsets]
    batches = list(_batches([len(each.full_scale) * rate // sample_rate for each in ready], rate, where))
    steps = [
        partial(
            _made,
            [ready[index] for index in batch],
            [targets[index] for index in batch],
            (sample_rate, rate),
            ceiling_dbtp,
            where,
        )
        for batch in batches
    ]
    done = on_all_cores(steps) if where.type == "cpu" else (step() for step in steps)
    found: dict[int, Processed] = {}
    for batch, made in zip(batches, done, strict=True):
        found |= dict(zip(batch, made, strict=True))
    return [found[index] for index in range(len(clips))]


def _batches(lengths: Sequence[int], rate: int, device: torch.device) -> Iterator[list[int]]:
    """The numbers of the clips that go together, the shortest first; too short ones are alone."""
    room = AT_ONCE.get(device.type, AT_ONCE["cuda"])
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda each: lengths[each]):
        length = lengths[index]
        if batch and (
            lengths[batch[0]] < SHORTEST_S * rate
            or length > _PADDING * lengths[batch[0]]
            or length * (len(batch) + 1) > room
        ):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _made(
    ready: list[Prepared], targets: list[float], rates: tuple[int, int], ceiling_dbtp: float, device: torch.device
) -> list[Processed]:
    with torch.inference_mode():
        counts = [-(-len(each.full_scale) * rates[1] // rates[0]) for each in ready]
        samples = resample(_rows([each.full_scale for each in ready], device), *rates)
        for row, count in zip(samples, counts, strict=True):
            row[count:] = 0  # what the resampler rings on into the padding
        if len(ready) == 1:
            made = [level(samples[0], rates[1], target_lufs=targets[0], ceiling_dbtp=ceiling_dbtp)]
        else:
            made = level_rows(samples, counts, rates[1], targets=targets, ceiling_dbtp=ceiling_dbtp)
        here = made if device.type == "cpu" else _fetched(made)
        return [
            delivered(clip, levelled, rates[1], target)
            for clip, levelled, target in zip(ready, here, targets, strict=True)
        ]


def _rows(clips: list[Tensor], device: torch.device) -> Tensor:
    """Clips as rows of float64, padded with zeros.

    They travel as float32, which holds their 22 bits exactly, from memory that an accelerator reads by itself.
    """
    if device.type == "cpu":
        return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    width = max(len(clip) for clip in clips)
    rows = torch.empty(len(clips), width, dtype=torch.float32, pin_memory=device.type == "cuda")
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip
        row[len(clip) :] = 0
    return rows.to(device, non_blocking=True).to(torch.float64)


def _fetched(made: list[Levelled]) -> list[Levelled]:
    """The same with their samples in this machine's memory. One copy for all, since each copy has a price of its own;
    as float32, which holds 16-bit steps exactly.
    """
    lengths = [len(each.samples) for each in made]
    there = torch.cat([each.samples.to(torch.float32) for each in made])
    here = torch.empty(there.shape, dtype=there.dtype, pin_memory=there.is_cuda)
    here.copy_(there)
    # Copies: a view of one clip would keep all of them in memory.
    return [
        replace(each, samples=part.clone()) for each, part in zip(made, here.split_with_sizes(lengths), strict=True)
    ]
