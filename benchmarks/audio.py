"""How fast the audio chain is on one core, beside the usual way of doing the same job.

Run: `python benchmarks/audio.py`; `--only batches device` for some of the tables, `--out FILE` for the figures of the
accelerator as JSON. The peer is pyloudnorm (gated loudness), soxr ("HQ": what `librosa.resample` calls)
to the delivered rate and four-fold for the peak, and a gain that keeps it under the ceiling; it neither trims nor limits,
and looks at nothing of what it delivers. Both run in turns in one process with one torch thread; the tables show medians.
Bars: a 5 s clip at 22.05 kHz, resampled or not, at 200 times real time; a clip that needs no limiter in the peer's time;
in batches, on all cores or on an accelerator where there is one, a third of it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

RATE = 22_050
LENGTHS_S = (1, 5, 30)
TARGET_RATES = (None, 24_000, 48_000)
BAR = 200
BATCH_BAR = 3
ON_DEVICE = {1: 1024, 5: 256, 30: 64}
"""Clips of each length (s) that an accelerator gets at once."""
PEER_CLIPS = 16
TABLES = ("first", "chain", "batches", "device", "long", "stages")
Samples = npt.NDArray[np.float32]


def speech(seconds: float) -> Samples:
    """Harmonics of a gliding voice in syllables, with some breath; peaks 15 dB above the loudness."""
    rng, when = np.random.default_rng(0), np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.4 * when)) / RATE
    voice = sum(np.sin(k * phase + 0.15 * k * k) / k for k in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * when) + 0.4, 0, 1) ** 0.7
    sound = voice * syllables + 0.05 * rng.standard_normal(len(when))
    return np.asarray(0.3 * sound / np.abs(sound).max(), dtype=np.float32)


def medians(
    jobs: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Median seconds of every job, run in turns so that a noisy neighbour disturbs all of them alike.

    Seconds of the processor, which a neighbour disturbs least; where several cores work, `clock` is that of the wall.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            begin = clock()
            job()
            times[name].append(clock() - begin)
    return {name: median(each) for name, each in times.items()}


def timed(job: Callable[[], object]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def first_calls() -> Table:
    """What the first clip of a process pays and no other does."""
    table = Table("first call", "ms", title="paid once per process")

    def torch_import() -> None:
        import torch

        torch.set_num_threads(1)

    def chain_import() -> None:
        import voxledger.synth.audio  # noqa: F401  (the import is what is timed)

    def first_clip(rate: int | None) -> Callable[[], object]:
        from voxledger.synth.audio import process

        return lambda: process(speech(1), RATE, target_rate=rate)

    table.add_row("import torch", f"{timed(torch_import) * 1e3:.0f}")
    table.add_row("import voxledger.synth.audio", f"{timed(chain_import) * 1e3:.0f}")
    for rate in TARGET_RATES:
        table.add_row(f"first 1 s clip, {RATE} Hz to {rate or RATE} Hz", f"{timed(first_clip(rate)) * 1e3:.1f}")
    return table


def peer(clip: Samples, target_rate: int | None) -> Samples:
    """Loudness, resampling and peak the usual way."""
    import pyloudnorm
    import soxr

    rate = target_rate or RATE
    if rate != RATE:
        clip = soxr.resample(clip, RATE, rate, quality="HQ")
    gain_db = -20 - pyloudnorm.Meter(rate).integrated_loudness(clip)
    clip = clip * np.float32(10 ** (gain_db / 20))
    peak = np.abs(soxr.resample(clip, rate, 4 * rate, quality="HQ")).max()
    return np.asarray(clip * np.float32(min(1.0, 10 ** (-1 / 20) / peak)))


def batch_table() -> tuple[Table, list[float]]:
    """Many clips at once on all cores, beside the peer in a loop and the peer in as many threads; also the ratios."""
    from voxledger.synth.audio import process_many

    cores = os.cpu_count() or 1
    table = Table(
        "clips", "to", "batch, ms a clip", "peer in a loop", "peer in threads", "loop / batch", "threads / batch",
        title=f"batches, {cores} cores",
    )  # fmt: skip
    ratios: list[float] = []
    cases = [(length, rate) for length in LENGTHS_S for rate in TARGET_RATES]
    for length, rate in track(cases, description="batches", transient=True):
        clips = [np.roll(speech(length), shift * 997) for shift in range(max(4, 60 // length))]
        with ThreadPoolExecutor(cores) as pool:
            found = medians(
                {
                    "batch": lambda: process_many(clips, RATE, target_rate=rate, level_offsets_db=-4),  # noqa: B023
                    "loop": lambda: [peer(clip, rate) for clip in clips],  # noqa: B023
                    "threads": lambda: list(pool.map(lambda clip: peer(clip, rate), clips)),  # noqa: B023
                },
                rounds=5,
                clock=time.perf_counter,
            )
        ratios.append(found["loop"] / found["batch"])
        table.add_row(
            f"{len(clips)} of {length} s",
            f"{rate or RATE} Hz",
            *(f"{found[name] / len(clips) * 1e3:.2f}" for name in ("batch", "loop", "threads")),
            f"{ratios[-1]:.2f}",
            f"{found['threads'] / found['batch']:.2f}",
        )
    return table, ratios


def device_table(device: str, out: Path | None) -> tuple[Table, list[dict[str, Any]]]:
    """Many clips at once on an accelerator, beside the peer in a loop, our batches on all cores, and the wire to it.

    `out` has the figures as they come, so that a run that is cut short was not for nothing.
    """
    import torch

    from voxledger.synth.audio import process_many

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    table = Table(
        "clips", "to", "case", f"{device}, ms a clip", "all cores", "peer in a loop", "loop / device", "cores / device",
        "the wire alone, ms", "same clips", "largest difference",
        title=f"batches on {name}",
    )  # fmt: skip
    inwards, outwards = bandwidths(device)
    found: list[dict[str, Any]] = []
    cases = [(length, rate, offset) for length in ON_DEVICE for rate in TARGET_RATES for offset in (-4.0, 2.0)]
    for length, rate, offset in track(cases, description="device", transient=True):
        clips = [np.roll(speech(length), shift * 997) for shift in range(ON_DEVICE[length])]
        both = {
            place: partial(process_many, clips, RATE, target_rate=rate, level_offsets_db=offset, device=place)
            for place in (device, "cpu")
        }
        made = {place: job() for place, job in both.items()}  # warms up, too
        pairs = list(zip(made[device], made["cpu"], strict=True))
        peers = clips[:PEER_CLIPS]
        times = medians(
            {"device": both[device], "cores": both["cpu"], "peer": lambda: [peer(clip, rate) for clip in peers]},  # noqa: B023
            rounds=3,
            clock=time.perf_counter,
        )
        each = {key: seconds / (len(peers) if key == "peer" else len(clips)) for key, seconds in times.items()}
        wire = 4 * sum(length * RATE / inwards + len(one.samples) / outwards for one, _ in pairs) / len(pairs)
        steps = max(float(np.abs(one.samples - other.samples).max()) * 2**15 for one, other in pairs)
        decibels = max(
            abs((one.measures.loudness_lufs or 0) - (other.measures.loudness_lufs or 0)) for one, other in pairs
        )
        same = sum(
            np.array_equal(one.samples, other.samples) and one.measures == other.measures for one, other in pairs
        )
        found.append(
            {
                "device": name, "seconds": length, "clips": len(clips), "rate": rate or RATE, "offset_db": offset,
                "limited": sum(one.limited for one, _ in pairs), "ms": {key: value * 1e3 for key, value in each.items()},
                "wire_ms": wire * 1e3, "to_device_gb_s": inwards / 1e9, "from_device_gb_s": outwards / 1e9,
                "same": same, "steps": steps, "lu": decibels,
            }
        )  # fmt: skip
        if out:
            out.write_text(json.dumps(found, indent=1))
        table.add_row(
            f"{len(clips)} of {length} s",
            f"{rate or RATE} Hz",
            f"{offset:+.0f} dB, {found[-1]['limited']} limited",
            *(f"{each[key] * 1e3:.3f}" for key in ("device", "cores", "peer")),
            f"{each['peer'] / each['device']:.1f}",
            f"{each['cores'] / each['device']:.1f}",
            f"{wire * 1e3:.3f}",
            f"{same} of {len(pairs)}",
            f"{steps:.0f} steps of 16 bits, {decibels:.3f} LU",
        )
    return table, found


def bandwidths(device: str) -> tuple[float, float]:
    """Bytes a second to an accelerator and back, from memory that it reads by itself."""
    import torch

    is_cuda = device.startswith("cuda")
    here = torch.zeros(1 << 28, dtype=torch.uint8, pin_memory=is_cuda)
    there = torch.zeros(1 << 28, dtype=torch.uint8, device=device)

    def copied(target: torch.Tensor, source: torch.Tensor) -> float:
        def copy() -> None:
            target.copy_(source, non_blocking=True)
            if is_cuda:
                torch.cuda.synchronize(device)

        return len(here) / min(timed(copy) for _ in range(5))

    return copied(there, here), copied(here, there)


def long_table() -> Table:
    """Clips on disk, in flat memory."""
    import psutil

    from voxledger.synth.audio import LongClip
    from voxledger.synth.audio.memory import give_back

    table = Table("clip", "x real time", "memory more, MB", title=f"long clips, {RATE} Hz to 24000 Hz, limiter at work")
    part = speech(20)
    with tempfile.TemporaryDirectory() as folder:
        for minutes in track((5, 20), description="long", transient=True):
            give_back()
            before = psutil.Process().memory_info().rss
            with LongClip(Path(folder), RATE) as clip:
                for _ in range(minutes * 3):
                    clip.add(part)
                seconds = timed(lambda: clip.finish(Path(folder) / "made.wav", "wav", target_rate=24_000))
            more = (psutil.Process().memory_info().rss - before) / 1e6
            table.add_row(f"{minutes} min", f"{minutes * 60 / seconds:.0f}", f"{more:.0f}")
    return table


def chain_table() -> tuple[Table, list[float], list[float]]:
    """The whole chain beside its peer; also the speeds and ratios the bars are about."""
    from voxledger.synth.audio import on_one_core, process

    table = Table(
        "clip", "to", "case", "chain ms", "x real time", "peer ms", "peer / chain", title="whole chain, one core"
    )
    barred: list[float] = []
    ratios: list[float] = []
    cases = [(length, rate) for length in LENGTHS_S for rate in TARGET_RATES]
    for length, rate in track(cases, description="chain", transient=True):
        clip = speech(length)
        found = medians(
            {
                "gain only": partial(on_one_core, partial(process, clip, RATE, target_rate=rate, level_offset_db=-4)),
                "limiter at work": partial(
                    on_one_core, partial(process, clip, RATE, target_rate=rate, level_offset_db=2)
                ),
                "peer": lambda: peer(clip, rate),  # noqa: B023  (called before the loop goes on)
            },
            rounds=5 + 60 // length,
        )
        ratios.append(found["peer"] / found["gain only"])
        for case in ("gain only", "limiter at work"):
            speed = length / found[case]
            table.add_row(
                f"{length} s",
                f"{rate or RATE} Hz",
                case,
                f"{found[case] * 1e3:.2f}",
                f"{speed:.0f}",
                f"{found['peer'] * 1e3:.2f}",
                f"{found['peer'] / found[case]:.2f}",
            )
            if length == 5:
                barred.append(speed)
    return table, barred, ratios


def stage_table() -> Table:
    """Every stage on its own, at the rate it runs at when the clip goes to 48 kHz."""
    import torch
    from scipy.signal import resample_poly

    from voxledger.synth.audio import FORMATS, Silences, encode, integrated_loudness, limit, process, resample, trim
    from voxledger.synth.audio.peak import true_peak

    table = Table("stage", *(f"{length} s clip, ms" for length in LENGTHS_S), title=f"stages, {RATE} Hz to 48000 Hz")
    rows: dict[str, list[str]] = {}
    for length in track(LENGTHS_S, description="stages", transient=True):
        clip = torch.from_numpy(speech(length)).to(torch.float64)
        high = resample(clip, RATE, 48_000)
        done = process(clip, RATE, target_rate=48_000)
        jobs: dict[str, Callable[[], object]] = {
            "trim": lambda: trim(clip, RATE, Silences()),  # noqa: B023  (as above)
            "resample": lambda: resample(clip, RATE, 48_000),  # noqa: B023
            "  peer: scipy resample_poly": lambda: resample_poly(clip.numpy(), 320, 147),  # noqa: B023
            "loudness": lambda: integrated_loudness(high, 48_000),  # noqa: B023
            "  peer: pyloudnorm": lambda: pyloudnorm_loudness(high.numpy()),  # noqa: B023
            "true peak": lambda: true_peak(high),  # noqa: B023
            "  peer: scipy, four-fold": lambda: np.abs(resample_poly(high.numpy(), 4, 1)).max(),  # noqa: B023
            "limit, 6 dB": lambda: limit(high * 6, 48_000),  # noqa: B023
        }
        for name in FORMATS:
            jobs[f"encode {name}"] = lambda name=name: encode(done.samples, 48_000, name)  # type: ignore[misc]  # noqa: B023
        for name, seconds in medians(jobs, rounds=5 + 30 // length).items():
            rows.setdefault(name, []).append(f"{seconds * 1e3:.2f}")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def pyloudnorm_loudness(samples: npt.NDArray[np.float64]) -> float:
    """Loudness at 48 kHz as pyloudnorm measures it."""
    import pyloudnorm

    return float(pyloudnorm.Meter(48_000).integrated_loudness(samples))


def accelerator() -> str:
    """The one that torch sees, or nothing."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else ""


def main() -> int:
    """Print the tables; the exit code says whether the bars were met."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="tables, all by default")
    arguments.add_argument("--device", help="the accelerator; by default the GPU, if there is one")
    arguments.add_argument("--out", type=Path, help="where the figures of the accelerator go, as JSON")
    asked = arguments.parse_args()
    console = Console()
    bars: dict[str, bool] = {}
    if "first" in asked.only:
        console.print(first_calls())
    if "chain" in asked.only:
        table, speeds, alone = chain_table()
        console.print(table)
        slowest = min(speeds)
        bars[f"5 s clips: {slowest:.0f} times real time at the least, the bar is {BAR}"] = slowest >= BAR
        bars[f"one clip without limiter: {median(alone):.2f} of the peer's speed, the bar is 1"] = median(alone) >= 1
    if "batches" in asked.only:
        table, together = batch_table()
        console.print(table)
        bars[f"batches: {median(together):.2f} of the peer's speed, the bar is {BATCH_BAR}"] = (
            median(together) >= BATCH_BAR
        )
    if "device" in asked.only and (device := asked.device or accelerator()):
        table, found = device_table(device, asked.out)
        console.print(table)
        # As for a processor's batches: the peer limits nothing.
        gained = [each["ms"]["peer"] / each["ms"]["device"] for each in found if each["offset_db"] < 0]
        bars[f"batches on {device}: {median(gained):.2f} of the peer's speed, the bar is {BATCH_BAR}"] = (
            median(gained) >= BATCH_BAR
        )
    if "long" in asked.only:
        console.print(long_table())
    if "stages" in asked.only:
        console.print(stage_table())
    for sentence, met in bars.items():
        console.print(f"{sentence}: {'met' if met else 'MISSED'}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
