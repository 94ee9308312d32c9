"""The studio under load: what it adds to a slow engine, many callers, streaming, and long texts.

Each figure stands beside what the engine alone takes, or beside the same work done another way, in one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from rich.console import Console
from rich.table import Table

import voxledger
from voxledger.ledger import Ledger
from voxledger.synth.engines import Segment, SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine
from voxledger.synth.studio.turns import Turns

NOBODY = "http://127.0.0.1:9"
console = Console()


class OneSecond(EspeakEngine):
    """An engine that thinks for a second, as a model does, and then gives a second of noise."""

    def describe(self) -> Any:
        return replace(super().describe(), name="one-second")

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        time.sleep(1.0)
        noise = np.random.default_rng(len(request.text)).normal(0, 0.1, 22050).astype(np.float32)
        yield Segment(samples=noise, sample_rate=22050, text=request.text, start=0.0)


def sentence(number: int) -> str:
    """Texts of equal length that no cache can answer."""
    return f"The tide is turning, and boat number {number:06d} comes home before the storm."


def table_of(title: str, *columns: str) -> Table:
    """A table whose first column is words and whose others are figures."""
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table


def slow_engine(vox: Ledger, rounds: int) -> Table:
    """What a clip takes beyond a synthesis of one second."""
    loaded = vox.studio._loaded
    loaded._engines["one-second"], loaded._turns["one-second"] = OneSecond(), Turns(1, 1000)
    beyond, chain = [], []
    for number in range(rounds + 1):
        begun = time.perf_counter()
        clip = vox.speak(sentence(number), language="en", engine="one-second")
        took = time.perf_counter() - begun
        row = vox.catalog.record(clip.id)
        if number:
            beyond.append((took - (row.synthesis_us + row.audio_us + row.encode_us) / 1e6) * 1e3)
            chain.append((row.audio_us + row.encode_us) / 1e3)
    table = table_of(f"a synthesis of one second, medians of {rounds}", "what", "ms", "of the second")
    middle = statistics.median(beyond)
    table.add_row("what we add (bars: 5 ms, 1 %)", f"{middle:.2f}", f"{middle / 10:.2f} %")
    table.add_row(
        "audio chain and encoder, of a second of sound",
        f"{statistics.median(chain):.2f}",
        f"{statistics.median(chain) / 10:.2f} %",
    )
    return table


def callers(vox: Ledger, clips: int) -> Table:
    """Clips a second from one caller and from eight, and how many cores were at work."""
    here = psutil.Process()
    table = table_of(
        f"{clips} clips of about 4 s, {os.cpu_count()} cores", "callers", "clips/s", "against one", "cores at work"
    )
    first = 0.0
    for count, base in ((1, 100_000), (2, 200_000), (8, 300_000)):
        vox.speak(sentence(base - 1), language="en")
        before, begun = _cpu(here), time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda number: vox.speak(sentence(number), language="en"), range(base, base + clips)))
        took = time.perf_counter() - begun
        first = first or clips / took
        table.add_row(
            str(count), f"{clips / took:.1f}", f"{clips / took / first:.2f}", f"{(_cpu(here) - before) / took:.2f}"
        )
    return table


def _cpu(here: psutil.Process) -> float:
    """CPU seconds of this process and its children so far."""
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def streaming(vox: Ledger, rounds: int) -> Table:
    """When the first sound is there."""
    firsts, wholes, spoken = [], [], []
    for number in range(rounds):
        text = " ".join(sentence(400_000 + number * 10 + line) for line in range(10))
        begun = time.perf_counter()
        with vox.studio.stream(text, language="en") as stream:
            next(stream)
            firsts.append((time.perf_counter() - begun) * 1e3)
            for _ in stream:
                pass
        wholes.append((time.perf_counter() - begun) * 1e3)
        begun = time.perf_counter()
        vox.speak(text.replace("tide", "wind"), language="en")
        spoken.append((time.perf_counter() - begun) * 1e3)
    table = table_of(f"ten sentences, about 40 s of sound, medians of {rounds}", "what", "ms", "ratio")
    whole = statistics.median(spoken)
    for what, found in (
        ("speak: the finished clip", spoken),
        ("stream: the first sound", firsts),
        ("stream: the finished clip", wholes),
    ):
        table.add_row(what, f"{statistics.median(found):.1f}", f"{statistics.median(found) / whole:.2f}")
    return table


def chapter(vox: Ledger, length: int) -> Table:
    """A chapter, the same with one sentence changed, and the chapter again."""
    lines = [sentence(500_000 + number) for number in range(length)]
    table = table_of(f"a chapter of {length} sentences", "what", "s", "ratio")
    first = 0.0
    for what, text in (
        ("spoken", " ".join(lines)),
        ("with one sentence changed", " ".join([*lines[:50], "Another boat comes home.", *lines[51:]])),
        ("the same again", " ".join(lines)),
    ):
        begun = time.perf_counter()
        vox.speak(text, language="en")
        took = time.perf_counter() - begun
        first = first or took
        table.add_row(what, f"{took:.3f}", f"{took / first:.3f}")
    return table


def book(vox: Ledger, characters: int) -> Table:
    """Resident memory along a book."""
    here = psutil.Process()
    text = " ".join(sentence(600_000 + number) for number in range(characters // len(sentence(0) + " ")))
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            family = [here, *here.children(recursive=True)]
            seen.append(sum(process.memory_info().rss for process in family) / 1e6)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    clip = vox.speak(text, language="en", format="opus")
    took = time.perf_counter() - begun
    done.set()
    watcher.join()
    table = table_of(f"a book of {len(text):,} characters, {clip.duration / 60:.0f} min of sound", "what", "figure")
    table.add_row("time, s", f"{took:.0f}")
    table.add_row("times real time", f"{clip.duration / took:.0f}")
    table.add_row("memory after a tenth, MB", f"{seen[len(seen) // 10]:.0f}")
    table.add_row("memory at its highest, MB", f"{max(seen):.0f}")
    return table


def main() -> None:
    """Print all tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--clips", type=int, default=200)
    arguments.add_argument("--book", type=int, default=99_000, help="characters")
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    with (
        tempfile.TemporaryDirectory() as name,
        voxledger.open(
            Path(name) / "home", store_endpoint=NOBODY, store_access_key="a", store_secret_key="b", store_close_wait=0
        ) as vox,
    ):
        console.print(slow_engine(vox, asked.rounds))
        console.print(callers(vox, asked.clips))
        console.print(streaming(vox, asked.rounds))
        console.print(chapter(vox, 200))
        console.print(book(vox, asked.book))


if __name__ == "__main__":
    main()
