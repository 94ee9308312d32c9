"""SIGKILL while speaking: what was handed out is there, once, with its file; what was not leaves nothing behind but a file."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

import voxledger
from tests import forking
from tests.building import NOBODY
from tests.soak import rounds

_SPEAKER = """
import sys, voxledger
with voxledger.open({home!r}, store_endpoint={nobody!r}, general_actor="ann", store_close_wait=0) as vox:
    print("ready", flush=True)
    number = {start}
    while True:
        clip = vox.speak(f"Sentence number {{number}}.", language="en", reuse=number % 3 != 0)
        print(clip.id, clip.sha256, flush=True)
        number += 1
"""


@pytest.mark.parametrize("seed", rounds(20))
def test_no_acknowledged_clip_is_lost_and_none_is_doubled(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    told: dict[str, str] = {}
    for life in range(3):
        code = _SPEAKER.format(home=str(tmp_path), nobody=NOBODY, start=life * 1000)
        process = forking.spawn(["-c", code], stdout=subprocess.PIPE, whole=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        heard = [process.stdout.readline() for _ in range(draw.randrange(1, 8))]
        time.sleep(draw.random() * 0.03)  # anywhere in the way of the next clip
        os.kill(process.pid, signal.SIGKILL)
        heard += process.stdout.read().splitlines(keepends=True)  # communicate() passes over what was read ahead
        process.stdout.close()
        process.wait()
        told |= dict(line.split() for line in heard if line.endswith("\n"))
    with voxledger.open(tmp_path, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as vox:
        clips = {clip.id: clip for clip in vox.catalog.clips(limit=10_000)}
        assert told.keys() <= clips.keys()
        for clip in clips.values():
            assert hashlib.sha256(clip.local().read_bytes()).hexdigest() == clip.sha256
        rows = vox.catalog.sql(
            "SELECT count(*) AS n, count(DISTINCT subject) AS clips, max(position) AS last FROM events"
        ).rows()[0]
        assert rows["n"] == rows["clips"] == rows["last"] == len(clips)
        assert vox.journal.open_tasks("upload", clips) == len(clips)
        answered = any(clip.text == "Sentence number 1." for clip in clips.values())
        assert vox.speak("Sentence number 1.", language="en").reused == answered
