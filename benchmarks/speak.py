"""What Voxledger adds: to one `speak`, to `import`, and to the memory of a long batch.

Each figure stands beside what a user would do without it, taken in turn in the same run, as medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from rich.console import Console
from rich.table import Table

import voxledger
from voxledger.ledger import Ledger
from voxledger.synth import batch
from voxledger.synth.audio import encode, process
from voxledger.synth.engines import SynthesisRequest
from voxledger.synth.prosody import level_offset

NOBODY = "http://127.0.0.1:9"
console = Console()


def sentence(number: int) -> str:
    """Texts of equal length that no cache can answer."""
    return f"The tide is turning, and boat number {number:05d} comes home before the storm."


def by_hand(vox: Ledger, text: str, path: Path) -> float:
    """What a script without Voxledger does: engine, audio chain, encoder, one plain write. Milliseconds."""
    engine = vox.studio.engine()
    begun = time.perf_counter()
    segments = list(engine.synthesize(SynthesisRequest(text=text, language="en")))
    made = process(segments, segments[0].sample_rate, level_offset_db=level_offset((0.0,) * 8))
    path.write_bytes(encode(made.samples, made.sample_rate, "wav").data)
    return (time.perf_counter() - begun) * 1e3


def fsync_ms(folder: Path, size: int) -> float:
    """One bare durable write of a clip's size: the physical limit of what a durable clip must add."""
    path = folder / "fsync"
    begun = time.perf_counter()
    with path.open("wb") as file:
        file.write(b"\0" * size)
        file.flush()
        os.fsync(file.fileno())
    return (time.perf_counter() - begun) * 1e3


def overhead(vox: Ledger, folder: Path, rounds: int) -> Table:
    """`speak` beyond engine, chain and encoder, measured inside and beside the plain script."""
    speak_ms, hand_ms, inside_ms, bare_ms, reuse_ms = [], [], [], [], []
    vox.speak(sentence(99_999), language="en")
    for number in range(rounds):
        begun = time.perf_counter()
        clip = vox.speak(sentence(number), language="en")
        speak_ms.append((time.perf_counter() - begun) * 1e3)
        hand_ms.append(by_hand(vox, sentence(number), folder / "hand.wav"))
        bare_ms.append(fsync_ms(folder, clip.bytes))
        begun = time.perf_counter()
        assert vox.speak(sentence(number), language="en").id == clip.id
        reuse_ms.append((time.perf_counter() - begun) * 1e3)
    rows = vox.catalog.sql(
        "SELECT (queue_us + synthesis_us + audio_us + encode_us) / 1e3 AS ms FROM generations"
        f" WHERE outcome = 'completed' ORDER BY position LIMIT {rounds} OFFSET 1"
    ).rows()
    inside_ms = [whole - row["ms"] for whole, row in zip(speak_ms, rows, strict=True)]
    middle = statistics.median
    table = Table(title=f"one sentence, {rounds} rounds, medians (ms)", title_justify="left")
    for column in ("what", "ms", "ratio"):
        table.add_column(column, justify="left" if column == "what" else "right")
    table.add_row("by hand: engine, chain, encode, plain write", f"{middle(hand_ms):.2f}", "1.00")
    table.add_row(
        "speak: the same, durable and recorded", f"{middle(speak_ms):.2f}", f"{middle(speak_ms) / middle(hand_ms):.2f}"
    )
    table.add_row(
        "  of that, beyond engine and chain (bar: 5 ms)",
        f"{middle(inside_ms):.2f}",
        f"{middle(inside_ms) / 5:.2f} of the bar",
    )
    table.add_row(
        "  one bare fsync of such a file (limit)",
        f"{middle(bare_ms):.2f}",
        f"{middle(inside_ms) / middle(bare_ms):.1f} fsyncs",
    )
    table.add_row(
        "the same request again (reuse)", f"{middle(reuse_ms):.2f}", f"{middle(reuse_ms) / middle(hand_ms):.3f}"
    )
    return table


def imports(rounds: int) -> Table:
    """Wall time of a process that only imports, against one that does nothing."""
    commands = {
        "python -c pass": "pass",
        "import voxledger (bar: 300 ms)": "import voxledger",
        "import torch, for scale": "import torch",
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, code in commands.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times[name].append((time.perf_counter() - begun) * 1e3)
    nothing = statistics.median(times["python -c pass"])
    table = Table(title="import, whole process, medians (ms)", title_justify="left")
    for column in ("what", "ms", "beyond an empty process"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, found in times.items():
        table.add_row(name, f"{statistics.median(found):.0f}", f"{statistics.median(found) - nothing:.0f}")
    return table


def memory(vox: Ledger, folder: Path, lines: int) -> Table:
    """Resident memory of this process and its children along a batch."""
    path = folder / "lines.jsonl"
    path.write_text(
        "".join(json.dumps({"text": sentence(10_000 + number)}) + "\n" for number in range(lines)), encoding="utf-8"
    )
    here = psutil.Process()
    table = Table(title=f"resident memory along a batch of {lines} lines", title_justify="left")
    for column in ("lines", "MB", "against a tenth of it"):
        table.add_column(column, justify="right")
    seen: list[tuple[int, float]] = []
    for spoken in batch.run(vox.studio, path, batch.Options(session="bench")):
        assert spoken.outcome == "made", spoken.error
        if spoken.number % (lines // 10) == 0:
            family = [here, *here.children(recursive=True)]
            seen.append((spoken.number, sum(process.memory_info().rss for process in family) / 1e6))
    for number, size in seen:
        table.add_row(f"{number}", f"{size:.0f}", f"{size / seen[0][1]:.3f}")
    return table


def side_by_side(folder: Path, lines: int) -> Table:
    """Wall time of one batch process, and of two at once on their own halves of the cores."""
    path = folder / "together.jsonl"
    path.write_text(
        "".join(json.dumps({"text": sentence(20_000 + number)}) + "\n" for number in range(lines)), encoding="utf-8"
    )
    environ = {**os.environ, "VOXLEDGER_STORE_ENDPOINT": NOBODY, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    seconds: dict[int, float] = {}
    for count in (1, 2):
        begun = time.perf_counter()
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "voxledger", "--home", str(folder / f"together-{count}-{one}"), "batch", str(path), "--no-wait"],
                env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for one in range(count)
        ]  # fmt: skip
        for started in processes:
            assert started.wait() == 0
        seconds[count] = time.perf_counter() - begun
    table = Table(title=f"{lines} lines a process, whole processes", title_justify="left")
    for column in ("processes at once", "s", "against one"):
        table.add_column(column, justify="right")
    for count, found in seconds.items():
        table.add_row(f"{count}", f"{found:.1f}", f"{found / seconds[1]:.2f}")
    return table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=60)
    arguments.add_argument("--lines", type=int, default=1000)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with voxledger.open(
            folder / "home", store_endpoint=NOBODY, store_access_key="a", store_secret_key="b", store_close_wait=0
        ) as vox:
            console.print(overhead(vox, folder, asked.rounds))
            console.print(imports(7))
            console.print(memory(vox, folder, asked.lines))
        console.print(side_by_side(folder, asked.lines // 2))


if __name__ == "__main__":
    main()
