"""Killed at any moment, each command is simply called again; and what people see of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import forking
from tests.catalog.reconcile.test_importing import outputs
from tests.catalog.reconcile.test_orphans import forget
from tests.catalog.reconcile.worlds import World, sound


def run(world: World, *words: str, failpoint: str = "", home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line on a HOME that this process has closed."""
    environ = {
        **os.environ,
        "VOXLEDGER_FAILPOINT": failpoint,
        "VOXLEDGER_STORE_ENDPOINT": world.server.url,
        "VOXLEDGER_STORE_ACCESS_KEY": world.server.access_key,
        "VOXLEDGER_STORE_SECRET_KEY": world.server.secret_key,
        "VOXLEDGER_STORE_AUDIO": world.bucket,
        "VOXLEDGER_STORE_EVENTS": f"{world.bucket}-events",
        "VOXLEDGER_STORE_RECORDS": "always",
        "VOXLEDGER_GENERAL_ACTOR": "ann",
        "COLUMNS": "200",
    }
    place = str(home or world.parts.home.path)
    return forking.run(["-m", "voxledger", "--home", place, *words], env=environ)


def said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("place", ["adopt.after_copy:2", "adopt.after_commit"])
def test_a_killed_import_goes_on(plain: World, tmp_path: Path, place: str) -> None:
    root = outputs(tmp_path)
    assert run(plain, "import", str(root), failpoint=place).returncode == -signal.SIGKILL
    again = run(plain, "import", str(root), "--json")
    assert again.returncode == 0, again.stderr
    found = said(again)
    assert found["taken"] + found["known"] == 3
    assert (found["known"] == 3) == (place == "adopt.after_commit")
    assert len(plain.events("AudioAdopted")) == 3
    plain.upload()
    # Nothing is left of the killed run: neither in the cache nor in the store.
    rows = plain.parts.rows("SELECT key FROM clips WHERE state = 'stored'")
    assert sorted(row["key"] for row in rows) == sorted(key for key in plain.listed() if key.endswith(".wav"))
    assert sorted(row["key"] for row in rows) == sorted(
        str(path.relative_to(plain.parts.home.cache)) for path in plain.parts.home.cache.rglob("*.wav")
    )
    assert not (plain.parts.home.path / "reconcile").exists()


def test_a_killed_adoption_goes_on(plain: World, bucket: str) -> None:
    old = f"{bucket}-old"
    for number in range(3):
        plain.store.put(old, f"a/{number}.wav", sound(number))
    assert run(plain, "adopt", f"s3://{old}/a", failpoint="adopt.after_commit").returncode == -signal.SIGKILL
    assert run(plain, "adopt", f"s3://{old}/a").returncode == 0
    assert len(plain.events("AudioAdopted")) == 3


@pytest.mark.parametrize("place", ["reconcile.before_commit", "reconcile.after_commit"])
def test_a_killed_run_records_and_repairs_once(plain: World, place: str) -> None:
    lost = plain.stored(3)[0]
    plain.lose(lost)
    options = ("reconcile", "--repair", "--grace", "0s")
    assert run(plain, *options, failpoint=place).returncode == -signal.SIGKILL
    again = run(plain, *options, "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    plain.upload()
    assert len(plain.events("ObjectMissing")) == 1
    assert len(plain.events("AudioStored")) == 4
    assert plain.clip(lost)["state"] == "stored"


def test_a_killed_rebuild_goes_on(plain: World, tmp_path: Path) -> None:
    plain.stored(3)
    other = forget(plain, tmp_path / "other", node=False)
    other.parts.close()
    home = tmp_path / "other"
    assert (
        run(other, "rebuild", "--from-store", failpoint="adopt.after_commit", home=home).returncode == -signal.SIGKILL
    )
    found = said(run(other, "rebuild", "--from-store", "--json", home=home))
    assert (found["whole"], found["known"]) == (0, 3)
    rows = said(run(other, "sql", "SELECT count(*) AS n FROM clips WHERE state = 'stored'", "--json", home=home))
    assert rows == [{"n": 3}]


def test_people_see_what_is_wrong_and_what_to_do(plain: World, tmp_path: Path) -> None:
    lost, changed = plain.stored(4)[:2]
    plain.store.put(plain.bucket, "x/y.wav", sound(9))
    quiet = run(plain, "reconcile")
    assert quiet.returncode == 0
    assert "in order" in quiet.stdout
    assert "younger than 1h, left alone" in quiet.stdout
    plain.lose(lost)
    plain.store.put(plain.bucket, plain.key(changed), b"other")
    done = run(plain, "reconcile", "--grace", "0s")
    assert done.returncode == 1
    for words in (
        "not in order",
        "missing",
        "changed",
        "orphan",
        "voxledger reconcile --repair",
        "voxledger adopt s3://",
        lost[-8:],
    ):
        assert words in done.stdout.replace("\n", " "), done.stdout
    root = outputs(tmp_path, 1)
    (root / "bad.wav").write_text("no sound, whatever its name says")
    imported = run(plain, "import", str(root), "--measure")
    assert imported.returncode == 0
    assert "1 clip imported" in imported.stdout
    assert "it is no WAV, FLAC, Ogg or MP3" in imported.stdout
    (row,) = plain.parts.rows("SELECT true_peak_dbtp FROM clips WHERE adopted = 'folder'")
    assert row["true_peak_dbtp"] < 0
    refused = run(plain, "rebuild", "--from-store")
    assert refused.returncode == 1
    assert "has a log of its own" in refused.stderr
