"""The ledger: opened, closed, forked, interrupted, and opened twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

import voxledger
from tests.building import NOBODY, completed
from voxledger.analytics.report import Week
from voxledger.catalog import CatalogBusy, HomeError, VoxledgerError
from voxledger.catalog.events import DeliveryQuarantined, new_id, now
from voxledger.cli import main
from voxledger.ledger import Ledger


@pytest.fixture
def vox(tmp_path: Path) -> Iterator[Ledger]:
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as ledger:
        yield ledger


def _events(home: Path) -> list[str]:
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        return [row["type"] for row in vox.catalog.sql("SELECT type FROM events ORDER BY position").rows()]


def test_status_names_events_in_quarantine_and_reports_that_are_due(
    vox: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (vox.status().quarantined, vox.status().reports) == (0, ())
    ann, past = vox.vault.actor("ann"), now() - timedelta(weeks=2)
    (clip,) = vox.journal.emit(vox.recorder.draft(completed(), subject=new_id(), actor=ann, time=past))
    refused = DeliveryQuarantined(subscription="mixpanel", refused_type=clip.type, field="time", reason="too old")
    vox.journal.emit(vox.recorder.draft(refused, subject=clip.id, actor=ann))
    found = vox.status()
    assert found.quarantined == 1
    assert str(Week.of(past, "UTC")) == found.reports[0].week
    with pytest.raises(SystemExit):
        main(["--home", str(vox.home.path), "status"])
    said = " ".join(capsys.readouterr().out.split())
    assert "`voxledger mixpanel quarantine list`" in said
    assert "reports, due" in said


def test_importing_is_light() -> None:
    code = "import sys, voxledger; print([name for name in ('torch', 'duckdb', 'boto3', 'polars', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_answered_request_needs_no_torch(vox: Ledger) -> None:
    vox.speak("Known already.")
    code = (
        "import sys, voxledger\n"
        f"with voxledger.open({str(vox.home.path)!r}, store_endpoint={NOBODY!r}, general_actor='ann', store_close_wait=0) as vox:\n"
        "    print(vox.speak('Known already.').reused, 'torch' in sys.modules)\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "True False\n"
    )


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01])
def test_an_interrupt_after_the_commit_keeps_the_audio(tmp_path: Path, delay: float) -> None:
    home = tmp_path / "home"
    with voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as vox:
        command = [sys.executable, "-m", "voxledger", "--home", str(home), "say", "Interrupt me.", "--no-wait"]
        environ = {**os.environ, "VOXLEDGER_STORE_ENDPOINT": NOBODY}
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while vox.journal.head() == 0 and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        heard = process.communicate(timeout=60)[1]
        assert "Traceback" not in heard
        types = [row["type"] for row in vox.catalog.sql("SELECT type FROM events WHERE type LIKE 'Generation%'").rows()]
        assert types == ["GenerationCompleted"]
        assert all(clip.local().is_file() for clip in vox.catalog.clips())


def test_an_interrupt_ends_the_wait_for_uploads_at_the_end(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, threading, time, voxledger\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        f"    with voxledger.open({str(tmp_path / 'home')!r}, general_actor='ann', store_close_wait=30, store_endpoint=sys.argv[1],\n"
        "                        store_access_key='a', store_secret_key='s') as vox:\n"
        "        vox.speak('Interrupt me.')\n"
        "        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "        start = time.monotonic()\n"
        "except KeyboardInterrupt:\n"
        "    print(time.monotonic() - start < 15)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ran = subprocess.run(
            [sys.executable, "-c", code, endpoint], capture_output=True, text=True, timeout=60, check=True
        )
    assert ran.stdout == "True\n"


def test_a_closed_ledger_says_so_and_keeps_nothing_claimed(tmp_path: Path) -> None:
    vox = voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0)
    studio = vox.studio
    with vox.journal.transaction() as write:
        write.claim("fingerprint", clip="c", actor="a")
        write.add_task("upload", subject="s", actor="a", payload=b"")
    assert vox.journal.lease("upload", limit=1, seconds=600)
    vox.close()
    vox.close()
    with pytest.raises(VoxledgerError, match="closed; open it again"):
        vox.speak("Too late.")
    with pytest.raises(VoxledgerError, match="closed"):
        studio.speak("Too late.")
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, store_close_wait=0) as again:
        assert again.journal.fingerprint("fingerprint") is None
        assert len(again.journal.lease("upload", limit=1, seconds=600)) == 1


def test_one_home_by_two_names_is_one_home(vox: Ledger, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(vox.home.path)
    with voxledger.open(link, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as other:
        assert other.home.path == vox.home.path
        threads = [
            threading.Thread(target=lambda each=each: [each.catalog.totals() for _ in range(5)])
            for each in (vox, other)
        ]
        for number in range(5):
            vox.speak(f"Number {number}.")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert other.catalog.totals()["clips"] == 5
    assert list(vox.home.path.glob("*.damaged-*")) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_this_process_holds_itself_is_waited_for_and_left_alone(vox: Ledger, read_only: bool) -> None:
    vox.speak("Held by a notebook.")
    vox.keeper.drain()
    vox.speak("Held by a notebook, again.")
    with duckdb.connect(str(vox.home.log), read_only=read_only), pytest.raises(CatalogBusy, match="has been held"):
        vox.keeper.drain(patience=0.2)
    assert list(vox.home.path.glob("*.damaged-*")) == []
    assert vox.catalog.totals()["clips"] == 2


def test_a_child_opens_the_same_home_anew(vox: Ledger) -> None:
    code = (
        "import os, threading, voxledger\n"
        f"home, nobody = {str(vox.home.path)!r}, {NOBODY!r}\n"
        "vox = voxledger.open(home, store_endpoint=nobody, store_close_wait=0)\n"
        "vox.keeper\n"
        "held = threading.Event(); go = threading.Event()\n"
        "def hold():\n"
        "    with vox.keeper._files._turn, vox.journal._lock: held.set(); go.wait(20)\n"
        "thread = threading.Thread(target=hold); thread.start(); held.wait()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: vox.journal.head(); os._exit(3)\n"
        "    except voxledger.VoxledgerError as error: assert 'before a fork' in str(error), error\n"
        "    with voxledger.open(home, store_endpoint=nobody, store_close_wait=0) as mine: mine.catalog.totals()\n"
        "    os._exit(0)\n"
        "status = os.waitpid(child, 0)[1]\n"
        "go.set(); thread.join(); vox.close()\n"
        "print(os.waitstatus_to_exitcode(status))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "0\n", ended.stderr


@pytest.mark.parametrize("name", ["we?rd", os.fsdecode(b"b\xff")])
def test_a_home_that_duckdb_cannot_open_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(HomeError, match="DuckDB cannot open"):
        voxledger.open(tmp_path / name)


@pytest.mark.parametrize("name", ["with space", "it's", "ümläut 目录", "100%", "[a]*"])
def test_odd_names_of_home_work(tmp_path: Path, name: str) -> None:
    with voxledger.open(tmp_path / name, store_endpoint=NOBODY, store_close_wait=0) as vox:
        vox.speak("Anywhere.")
        assert vox.catalog.totals()["clips"] == 1


def test_a_lost_journal_starts_where_the_log_ends(vox: Ledger, tmp_path: Path) -> None:
    vox.speak("Before.")
    vox.keeper.drain()
    home = vox.home.path
    vox.close()
    for path in home.glob("journal.sqlite*"):
        path.unlink()
    with voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as again:
        again.speak("After.")
        rows = again.catalog.sql("SELECT position, source FROM events ORDER BY position").rows()
        assert [row["position"] for row in rows] == [1, 2]
        assert rows[0]["source"] != rows[1]["source"]


def test_a_copied_home_finds_its_own_files(vox: Ledger, tmp_path: Path) -> None:
    import shutil

    clip = vox.speak("Moved with its house.")
    vox.keeper.drain()
    vox.close()
    shutil.copytree(vox.home.path, tmp_path / "copy")
    shutil.rmtree(vox.home.path)
    with voxledger.open(tmp_path / "copy", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as copy:
        assert copy.catalog.clip(clip.id).local().is_relative_to(tmp_path / "copy")
        assert copy.speak("Moved with its house.").reused


def test_an_actor_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VoxledgerError, match=r"general\.actor"):
        voxledger.open(tmp_path, general_actor="a\x01b")


def test_events_of_large_texts_are_drained_in_little_memory(tmp_path: Path) -> None:
    code = (
        "import resource, sys; sys.path[:0] = [sys.argv[2]]\n"
        "from pathlib import Path; from tests.building import Parts, completed\n"
        "from voxledger.catalog.events import new_id\n"
        "parts = Parts(Path(sys.argv[1])); actor = parts.vault.actor('ann')\n"
        "for _ in range(12):\n"
        "    parts.journal.emit(*(parts.recorder.draft(completed(text='x' * 400_000), subject=new_id(), actor=actor) for _ in range(50)))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "parts.keeper.drain()\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
        "print(len(parts.rows('SELECT last FROM batches')))\n"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(root)], capture_output=True, text=True, check=True, cwd=root
    )
    grown, batches = (int(line) for line in ended.stdout.split())
    assert batches >= 4, "600 events of 530 kB are more than one piece"
    assert grown < 1500, f"{grown} MB for 320 MB of events"


def test_what_a_script_reads_is_one_json_document(vox: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    from voxledger.catalog import terminal

    terminal.print_json({"half": "\ud800", "whole": "目"})
    assert json.loads(capsys.readouterr().out)["whole"] == "目"
