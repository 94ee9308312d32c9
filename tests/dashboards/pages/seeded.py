"""A small ledger with real audio, made once and copied: voices, emotions, doubts, failures, and names that try to be scripts."""

from __future__ import annotations

import fcntl
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

import voxledger
from tests import forking
from tests.building import completed
from tests.node import PATIENCE
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import EMOTIONS, ClipMarked, new_id, now

XSS = (
    '<script>voxXss("script")</script>',
    '"><img src=x onerror=voxXss("img")>',
    "'-voxXss('quote')-'",
    "<svg/onload=voxXss('svg')>",
    "{{ 7*7 }}${7*7}</title><h1>no",
    "javascript:voxXss('url')",
)
"""What must be shown as it is wherever it stands."""


def seed(home: Path, *, lines: int | None = None) -> None:
    """About 60 clips of the demo's actors, in many languages; six of `mallory` whose words are `XSS`; two attempts that failed."""
    said = (files("voxledger") / "demo.jsonl").read_text(encoding="utf-8").splitlines()[:lines]
    with voxledger.open(home) as vox:
        for line in said:
            asked = msgspec.json.decode(line)
            emotion = {
                name: float(weight)
                for name, _, weight in (
                    part.strip().partition("=") for part in asked.pop("emotion", "").split(",") if part
                )
            }
            vox.speak(asked.pop("text"), emotion=emotion or None, engine="espeak", **asked)
        for number, nasty in enumerate(XSS):
            vox.speak(
                f"{nasty} {number}",
                name=nasty,
                actor="mallory",
                session=nasty,
                tags=[nasty],
                language="en",
                engine="espeak",
            )
        vox.speak("Wind north-west, five to six, easing by nightfall. Sea moderate.", actor="maren", session="harbour-radio",
                  name="forecast", format="flac", engine="espeak")  # fmt: skip
        for actor in ("maren", "mallory"):
            with suppress(VoxledgerError):
                vox.speak("This one fails.", actor=actor, engine="remote")
        vox.uploader.flush(timeout=60)


def crowd(home: Path, clips: int) -> None:
    """So many clips more, with real audio, of five people, in sessions of fifty, with tags, feelings, names and formats."""
    said = [msgspec.json.decode(line) for line in (files("voxledger") / "demo.jsonl").read_bytes().splitlines()]
    with voxledger.open(home, store_close_wait=0) as vox:

        def speak(number: int) -> None:
            chance = random.Random(number)
            vox.speak(
                f"{chance.choice(said)['text'][:120]} {number}",
                emotion={chance.choice(EMOTIONS): chance.randint(2, 9) / 10},
                engine="espeak",
                actor=chance.choice(("maren", "jonas", "li", "aylin", "tom")),
                session=f"chapter-{number // 50}",
                tags=chance.sample(("draft", "demo", "master", "promo"), chance.randint(0, 2)),
                name=f"line {number}" if number % 2 else None,
                format=chance.choice(("wav", "mp3", "flac")),
                language=chance.choice(("en", "de", "fr")),
            )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(speak, range(clips)))


def copied(source: Path, target: Path) -> Path:
    """A HOME of its own with the same clips."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.lock", "node.json", "store.json"))
    return target


def made_once(folder: Path) -> Path:
    """The seeded ledger of this session of tests: whoever comes first makes it, in a process that has imported what it takes."""
    folder.mkdir(exist_ok=True)
    home, told = folder / "home", folder / "log"
    with (folder / "lock").open("w") as lock, told.open("a") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            shutil.rmtree(folder / "half", ignore_errors=True)  # of somebody who did not get to the end
            making = (
                f"import pathlib, tests.dashboards.pages.seeded as it; it.seed(pathlib.Path({str(folder / 'half')!r}))"
            )
            with forking.spawn(["-c", making], stdout=log, stderr=log, whole=True) as process:
                assert process.wait(PATIENCE) == 0, told.read_text()
            (folder / "half").rename(home)
    return home


def age(home: Path) -> None:
    """Six weeks of history, one clip of now whose audio is doubted, and one that is marked; of those there is no audio."""
    with voxledger.open(home, store_close_wait=0) as vox:
        lena = vox.vault.actor("lena")

        def made(name: str, *, ago: timedelta = timedelta(), **changes: Any) -> str:
            clip, fact = new_id(), completed(actor_label="lena", name=name, key=f"lena/default/{name[:8]}", **changes)
            vox.journal.emit(vox.recorder.draft(fact, subject=clip, actor=lena, time=now() - ago))
            return clip

        for week in range(6, 0, -1):
            made(f"week {week}", ago=timedelta(weeks=week), bytes=1_000_000 * week)
        made(f"doubted {XSS[1]}", suspect=("clipping", "silence"))
        marked = ClipMarked(plan="5eed", rule="scratch", delete_after=now() + timedelta(days=3))
        vox.journal.emit(vox.recorder.draft(marked, subject=made(f"marked {XSS[0]}"), actor=lena))
