"""The node: a process that keeps a HOME going, and stops cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import voxledger
from tests import forking
from tests.building import NOBODY, completed
from tests.mixpanel_server import Fault, MixpanelServer
from tests.s3 import S3Server
from tests.smtp_server import SmtpServer
from voxledger.analytics.report import Week
from voxledger.catalog.events import new_id, now
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.elsewhere import noted
from voxledger.catalog.objects.features import store_features
from voxledger.catalog.settings import load
from voxledger.dashboards.node import waking
from voxledger.dashboards.schedule import Shown, jobs, schedule
from voxledger.ledger import Ledger

_PATIENCE = 60.0


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def vox(tmp_path: Path) -> Iterator[Ledger]:
    with voxledger.open(tmp_path / "home", general_actor="ann", store_close_wait=0, store_endpoint=NOBODY) as ledger:
        yield ledger


def _serve(home: Path, **settings: str) -> forking.Process:
    environ = {**os.environ, **{f"VOXLEDGER_{name.upper()}": value for name, value in settings.items()}}
    return forking.spawn(["-m", "voxledger", "--home", home, "serve", "--no-web"], env=environ, stderr=subprocess.PIPE)


def _stop(process: forking.Process, by: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(by)
    heard = process.communicate(timeout=_PATIENCE)[1]
    assert process.returncode == 0, heard
    return heard


def test_it_tries_a_store_that_nobody_has_tried(tmp_path: Path, rclone_store: S3Server) -> None:
    home = Home.open(tmp_path / "home")
    settings = rclone_store.settings()
    node = _serve(
        home.path,
        store_endpoint=settings.endpoint,
        store_access_key=settings.access_key,
        store_secret_key=settings.secret_key,
    )
    try:
        _until(lambda: store_features(home, settings).probed is not None)
    finally:
        _stop(node)
    assert store_features(home, settings).conditional_put is False


def test_it_says_that_another_home_goes_on_as_this_node_and_lets_nothing_go(
    tmp_path: Path, rclone_store: S3Server, bucket: str
) -> None:
    home, settings = Home.open(tmp_path / "home"), rclone_store.settings()
    store = Store(home, settings)
    store.ensure_bucket(bucket)
    with voxledger.open(home.path) as vox:
        key = f"{vox.journal.node}/0123456789ab/000000000001-000000010000.jsonl.zst"
    store.put(bucket, key, b"of a copy of this HOME")
    (home.path / "voxledger.toml").write_text(
        '[retention]\nschedule = "00:00"\n[[retention.rules]]\nname = "all"\nmatch = "all"\nkeep_for = "30d"\n'
    )
    node = _serve(
        home.path,
        store_endpoint=settings.endpoint,
        store_access_key=settings.access_key,
        store_secret_key=settings.secret_key,
        store_events=bucket,
    )
    try:
        _until(lambda: noted(home) is not None and (home.path / "retention.json").exists())
    finally:
        heard = _stop(node)
    with voxledger.open(home.path) as vox:
        assert vox.retention.status().stops == {"elsewhere": 1}
        assert vox.catalog.sql("SELECT run FROM plans WHERE run IS NOT NULL").rows() == []
    assert "another HOME goes on as this node: it has given position 10,000, in epoch 0123456789ab" in " ".join(
        heard.split()
    )


def test_it_uploads_drains_delivers_and_reports_and_stops_on_ctrl_c(vox: Ledger) -> None:
    clip = vox.speak("Left for the node.")
    last_week = now() - timedelta(days=7)
    recorder = vox.recorder
    draft = recorder.draft(completed(), subject=new_id(), actor=recorder.vault.actor("ann"), time=last_week)
    vox.journal.emit(draft)
    with MixpanelServer() as mixpanel, SmtpServer() as smtp:
        node = _serve(
            vox.home.path, mixpanel_token=mixpanel.token, mixpanel_endpoint=mixpanel.url, schedule_deliver="0.2s", schedule_report="0.2s",
            schedule_send="0.2s", report_at="Mon 00:00", mail_to="ann@example.org", mail_host="127.0.0.1", mail_port=str(smtp.port),
            mail_security="none",
        )  # fmt: skip
        try:
            _until(lambda: vox.journal.open_tasks("upload", [clip.id]) == 0)
            _until(lambda: len(smtp.letters) == 1)
            _until(lambda: not [task for task in vox.journal.counts() if task.kind == "report delivery"])
            shown = schedule(vox, now())
            _until(lambda: len(list(vox.home.reports.glob("*.html"))) == 1)
            _until(lambda: vox.journal.cursor("mixpanel") == vox.journal.head())
        finally:
            heard = _stop(node, signal.SIGINT)
        assert "stopped cleanly" in heard
        assert {event["event"] for event in mixpanel.events.values()} >= {"Audio Generated", "Audio Stored"}
        assert {profile["clips"] for profile in mixpanel.profiles.values()} == {2}
    assert vox.catalog.clip(clip.id).state == "stored"
    published = vox.catalog.sql("SELECT subject FROM events WHERE type = 'ReportPublished'").rows()
    assert len(published) == 1, "a closed week is reported once"
    jobs = {job.name: job for job in shown.jobs}
    assert shown.serving
    assert not schedule(vox, now()).serving
    assert jobs["report"].last_of == str(Week.of(now()).previous())
    assert jobs["drain"].next is not None
    assert (jobs["retention"].when, jobs["retention"].why) == ("never", "retention.schedule is empty")
    assert forking.run(["-m", "voxledger", "--home", vox.home.path, "store", "stop"]).returncode == 0


@pytest.mark.parametrize(("at", "minutes"), [("Mon 06:00", 4), ("", 10), ("Someday", 10)])
def test_the_timer_wakes_at_the_time_of_reports_and_not_only_at_its_interval(
    tmp_path: Path, at: str, minutes: int
) -> None:
    settings = load(tmp_path, overrides={"report_at": at, "general_time_zone": "Europe/Berlin"}, environ={}).settings
    (job,) = (job for job in jobs(settings) if job.name == "report")
    looked = datetime(2026, 11, 30, 4, 56, tzinfo=UTC)  # Monday, 05:56 in Berlin
    woken = waking(job, settings).get_next_fire_time(looked, looked)
    assert woken == looked + timedelta(minutes=minutes)


def test_two_nodes_on_one_home_are_refused(vox: Ledger) -> None:
    first = _serve(vox.home.path, store_endpoint=NOBODY)
    assert first.stderr is not None
    assert "serving" in first.stderr.readline()
    second = _serve(vox.home.path, store_endpoint=NOBODY)
    heard = second.communicate(timeout=_PATIENCE)[1]
    assert second.returncode == 1
    assert "another `voxledger serve` runs" in heard.replace("\n", " ")
    _stop(first)


def test_a_failing_job_is_said_once_and_the_others_go_on(vox: Ledger) -> None:
    vox.speak("Nobody will hear of this.")
    head = vox.journal.head()
    node = _serve(
        vox.home.path, store_endpoint=NOBODY, mixpanel_token="t" * 32, mixpanel_endpoint=NOBODY, mixpanel_timeout="0.2s",
        schedule_deliver="0.2s", schedule_drain="0.1s",
    )  # fmt: skip
    assert node.stderr is not None
    node.stderr.readline()
    _until(lambda: vox.home.catalog.exists())
    heard = _stop(node)
    assert vox.journal.head() == head
    assert vox.journal.cursor("mixpanel") == 0
    assert heard.count("deliver:") <= 1
    (delivering,) = (job for job in schedule(vox, now()).jobs if job.name == "deliver")
    assert delivering.ended in ("stopped", "")
    assert (delivering.ended == "stopped") == ("127.0.0.1" in delivering.why)
    assert "Traceback" not in heard


def test_who_asks_for_an_hour_of_patience_is_left_alone(vox: Ledger) -> None:
    vox.speak("Mixpanel hears of this later.")
    with MixpanelServer() as mixpanel:
        mixpanel.faults += [Fault(status=429, headers={"Retry-After": "7200"})] * 50
        node = _serve(
            vox.home.path, store_endpoint=NOBODY, mixpanel_token=mixpanel.token, mixpanel_endpoint=mixpanel.url,
            schedule_deliver="0.1s",
        )  # fmt: skip

        def delivering() -> Shown:
            return next(job for job in schedule(vox, now()).jobs if job.name == "deliver")

        try:
            _until(lambda: delivering().ended == "stopped")
            time.sleep(1)
        finally:
            shown = delivering()
            heard = _stop(node)
        assert len(mixpanel.requests) == 1
    assert shown.next is not None
    assert timedelta(minutes=59) < shown.next - now() <= timedelta(hours=1), "an hour at most"
    assert "it asks to be left alone until" in shown.why
    assert "it asks to be left alone until" in (vox.mixpanel.status().note or "")
    assert heard.count("deliver:") == 1


def test_what_is_due_has_no_next_run_where_nobody_serves(vox: Ledger) -> None:
    ann = vox.recorder.vault.actor("ann")
    vox.journal.emit(vox.recorder.draft(completed(), subject=new_id(), actor=ann, time=now() - timedelta(days=7)))
    with voxledger.open(vox.home.path, report_at="Mon 00:00") as due:
        found = {job.name: job for job in schedule(due, now()).jobs}
        following = due.reports.standing(now()).next_run
    assert found["report"].why == f"due: {Week.of(now()).previous()}"
    assert following is not None
    assert following < now()
    assert found["report"].next is None


def test_the_run_of_a_night_is_carried_out_and_waits_for_a_store_that_is_away(vox: Ledger) -> None:
    (vox.home.path / "voxledger.toml").write_text(
        '[retention]\nschedule = "00:00"\n[[retention.rules]]\nname = "all"\nmatch = "all"\nkeep_for = "30d"\n'
    )
    runs = "SELECT run FROM plans WHERE run IS NOT NULL"
    node = _serve(vox.home.path, store_endpoint=NOBODY, store_access_key="a", store_secret_key="b")
    assert node.stderr is not None
    node.stderr.readline()  # it serves: whoever reads now asks it
    try:
        _until(lambda: vox.retention.status().stops == {"store": 1})
    finally:
        heard = _stop(node)
    assert "retention: the nightly run waits: " in " ".join(heard.split())
    assert vox.catalog.sql(runs).rows() == []
    node = _serve(vox.home.path)
    assert node.stderr is not None
    node.stderr.readline()
    try:
        _until(lambda: len(vox.catalog.sql(runs).rows()) == 1)
    finally:
        _stop(node)
    assert vox.retention.status().stops == {"store": 1}
