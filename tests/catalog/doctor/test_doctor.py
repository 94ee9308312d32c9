"""The doctor: what is wrong is said with what follows, through the command line and through `examine`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fault_proxy import FaultProxy
from tests.s3 import S3Server, running_rclone
from voxledger.catalog.doctor import Examination, Finding, examine
from voxledger.catalog.doctor.features import MEANINGS, feature_findings
from voxledger.catalog.doctor.store import clock_finding
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.features import EMBEDDED, FILE_NAME, Features, store_features
from voxledger.catalog.objects.policies import policy
from voxledger.catalog.objects.probing.probe import BUCKETS, OBJECTS
from voxledger.catalog.settings import Settings, load
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.cli import main

Doctor = Callable[..., Examination]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def look(home: Home) -> Doctor:
    """Examine the HOME with a store; keyword arguments are settings."""

    def look(server: S3Server | None, *, url: str | None = None, **more: Any) -> Examination:
        overrides: dict[str, Any] = dict(more)
        if server is not None:
            overrides |= {
                "store.endpoint": url or server.url, "store.access_key": server.access_key,
                "store.secret_key": server.secret_key,
            }  # fmt: skip
        loaded = load(home.path, overrides=overrides, environ={})
        journal, store = Journal(home.journal), Store(home, loaded.settings.store)
        try:
            return examine(home, loaded, journal, store)
        finally:
            journal.close()
            store.close()
            if store.embedded is not None:
                store.embedded.stop()

    return look


def _found(examination: Examination, area: str, name: str) -> list[Finding]:
    return [found for found in examination.findings if (found.area, found.name) == (area, name)]


def test_a_fresh_home_with_its_own_store_is_healthy(look: Doctor, home: Home) -> None:
    found = look(None)
    assert found.healthy
    assert {finding.state for finding in found.findings} <= {"ok", "note"}
    assert {finding.area for finding in found.findings} == {"home", "node", "store", "buckets", "features"}
    assert sorted(path.name for path in home.path.iterdir() if path.name.startswith(".doctor")) == []


@pytest.mark.every_server
def test_what_a_store_can_do_is_known_to_everybody_afterwards(look: Doctor, home: Home, s3: S3Server) -> None:
    found = look(s3)
    assert found.healthy
    assert found.features is not None
    assert store_features(home, StoreSettings(endpoint=s3.url)) == found.features
    if s3.ceph is not None:
        assert found.features.never_overwrites


def test_nobody_at_the_endpoint_is_bad_and_home_is_still_looked_at(look: Doctor, rclone_store: S3Server) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        proxy.down()
        found = look(rclone_store, url=proxy.url)
    (answer,) = _found(found, "store", "answer")
    assert answer.state == "bad"
    assert "nobody answers" in answer.found
    assert not found.healthy
    assert found.features is None
    assert _found(found, "home", "locks")[0].state == "ok"


@pytest.mark.parametrize(
    ("status", "code", "says", "follows"),
    [
        (503, "ServiceUnavailable", "it answers, but with ServiceUnavailable", "try again later"),
        (301, "PermanentRedirect", "it answers, but with PermanentRedirect", "set store.region"),
        (400, "InvalidRequest", "it answers, but with InvalidRequest", "check store.endpoint"),
        (404, "", "this is no S3 store (HTTP 404)", "check store.endpoint: another server listens there"),
        (
            403,
            "RequestTimeTooSkewed",
            "the clocks are too far apart",
            "set the clock of this machine: it is more than 15 minutes off; clips wait here until then",
        ),
    ],
)
def test_an_answer_that_serves_nobody_is_bad(look: Doctor, status: int, code: str, says: str, follows: str) -> None:
    with _answering(status, code) as server:
        found = look(server)
    (answer,) = _found(found, "store", "answer")
    assert (answer.state, answer.found, answer.follows) == ("bad", says, follows)
    assert not found.healthy


def test_a_store_that_goes_away_meanwhile_is_said(
    look: Doctor, rclone_store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        monkeypatch.setitem(OBJECTS, "ranges", lambda place: proxy.down() or (place.store.get("a", "b") and None))
        found = look(rclone_store, url=proxy.url)
        assert _found(found, "store", "trials")[0].state == "bad"
        assert not found.healthy


def test_what_cannot_be_written_down_is_said(look: Doctor, home: Home, rclone_store: S3Server) -> None:
    (home.path / FILE_NAME).mkdir()
    found = look(rclone_store)
    (kept,) = _found(found, "home", "features")
    assert kept.state == "bad"
    assert "cannot be written down" in kept.found
    assert str(home.path) not in kept.found
    assert not found.healthy
    assert found.features is not None, "it was tried all the same"
    assert {finding.area for finding in found.findings} == {"home", "node", "store", "buckets", "features"}


@pytest.mark.every_server
def test_wrong_keys_are_told_from_missing_rights(look: Doctor, s3: S3Server) -> None:
    wrong = S3Server(s3.url, s3.access_key, "wrong", keeps_metadata=s3.keeps_metadata)
    (answer,) = _found(look(wrong), "store", "answer")
    assert answer.found == "the keys are refused (SignatureDoesNotMatch)"
    assert answer.follows == "check store.secret_key; clips wait here until then"


def test_without_keys_nobody_is_asked(look: Doctor, rclone_store: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with FaultProxy(rclone_store.port) as proxy:
        found = look(None, **{"store.endpoint": proxy.url})
        assert proxy.asked() == 0
    (keys,) = _found(found, "store", "credentials")
    assert (keys.state, keys.found) == ("bad", "no keys were found")
    assert keys.follows.startswith("set store.access_key")
    assert _found(found, "store", "answer") == []


def test_a_key_that_only_uploads_is_healthy_and_takes_away_nothing(
    look: Doctor, home: Home, ceph_store: S3Server, bucket: str
) -> None:
    names = {f"store.{kind}": bucket for kind in ("audio", "events", "voices", "models", "backup")}
    before = look(ceph_store, **names).features
    assert before is not None
    Store(home, ceph_store.settings()).ensure_bucket(bucket)
    settings = Settings(store=ceph_store.settings(audio=bucket, events=bucket, voices=bucket))
    found = look(ceph_store.user(policy(["uploader"], settings)), **names)
    assert found.healthy
    assert _found(found, "buckets", bucket)[0].found == "these keys may not look at it"
    assert _found(found, "store", "rights") == []
    assert "nothing was tried" in _found(found, "store", "trials")[0].found
    assert found.features is not None
    assert found.features.never_overwrites


def test_a_key_that_only_reads_is_told_what_it_may_not_do_and_leaves_nothing(
    look: Doctor, home: Home, ceph_store: S3Server, bucket: str
) -> None:
    owner = Store(home, ceph_store.settings())
    owner.ensure_bucket(bucket)
    user = ceph_store.user(policy(["reader"], Settings(store=StoreSettings(audio=bucket))))
    found = look(user, **{"store.audio": bucket, "store.models": f"{bucket}-none"})
    assert found.healthy
    (rights,) = _found(found, "store", "rights")
    assert (rights.state, rights.found) == ("warning", "these keys may not put clips")
    (missing,) = _found(found, "buckets", f"{bucket}-none")
    assert (missing.state, missing.found) == ("warning", "not there, and these keys may not make it")
    links = _found(found, "features", "presigned links")
    assert [(link.state, link.follows) for link in links] == [("unknown", "used where it works")]
    assert list(owner.list(bucket)) == []


def test_what_endangers_clips_in_a_bucket_is_said(look: Doctor, home: Home, ceph_store: S3Server, bucket: str) -> None:
    store = Store(home, ceph_store.settings())
    store.ensure_bucket(bucket)
    rules: Any = {"Rules": [{"ID": "broom", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}]}
    store.request("R", lambda s3: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules))
    store.request("A", lambda s3: s3.put_bucket_acl(Bucket=bucket, ACL="public-read"))
    found = look(ceph_store, **{"store.audio": bucket})
    public, rule = _found(found, "buckets", bucket)
    assert (public.state, public.found) == ("bad", "anybody can list it, without keys")
    assert (rule.state, "'broom' deletes objects" in rule.found) == ("warning", True)
    assert not found.healthy


def test_a_store_that_takes_anybody_is_bad(look: Doctor, home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "anonymous"
    folder.mkdir()
    with running_rclone(folder, anonymous=True) as server:
        Store(home, server.settings()).ensure_bucket("indextts-audio")
        found = look(server)
    assert _found(found, "buckets", "indextts-audio")[0].state == "bad"


def test_keys_that_find_no_bucket_and_may_make_none_are_told_so(
    look: Doctor, ceph_store: S3Server, bucket: str
) -> None:
    user = ceph_store.user(policy(["uploader", "reader"], Settings(store=StoreSettings(audio=bucket))))
    found = look(user, **{"store.audio": bucket})
    (trials,) = _found(found, "store", "trials")
    assert (trials.state, trials.found) == ("bad", f"there is no bucket {bucket}, and these keys may not make one")
    assert trials.follows.startswith("make the bucket, or use keys that may")
    (missing,) = _found(found, "buckets", bucket)
    assert missing.found == "not there, and these keys may not make it"


def test_files_that_others_can_read_and_a_small_disk_are_said(look: Doctor, home: Home) -> None:
    home.path.chmod(0o755)
    file = home.path / "voxledger.toml"
    file.write_text('[mixpanel]\ntoken = "secret"\n[general]\nmin_free_disk = "900 TB"\n')
    file.chmod(0o644)
    found = look(None)
    (private,) = _found(found, "home", "private files")
    assert (private.state, private.found) == ("warning", "others can read voxledger.toml")
    assert _found(found, "home", "disk")[0].state == "bad"
    home.path.chmod(0o700)
    assert _found(look(None), "home", "private files")[0].state == "ok"


@pytest.mark.parametrize(
    ("skew", "state"), [(0.0, "ok"), (12.0, "ok"), (-300.0, "warning"), (901.0, "bad"), (None, "unknown")]
)
def test_clocks_that_are_apart_are_said_before_they_matter(skew: float | None, state: str) -> None:
    assert clock_finding(Features(clock_skew_s=skew)).state == state


def test_every_feature_that_is_tried_has_a_meaning() -> None:
    assert set(MEANINGS) == set(OBJECTS) | set(BUCKETS)


def test_a_store_that_forgets_metadata_without_records_cannot_be_rebuilt_from() -> None:
    found = {each.name: each for each in feature_findings(EMBEDDED, StoreSettings(records="never"))}
    assert found["user metadata"].state == "warning"
    assert 'set store.records = "auto"' in found["user metadata"].follows


def test_the_command_says_the_same_to_people_and_machines(
    home: Home, rclone_store: S3Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXLEDGER_STORE_ENDPOINT", rclone_store.url)
    monkeypatch.setenv("VOXLEDGER_STORE_ACCESS_KEY", rclone_store.access_key)
    monkeypatch.setenv("VOXLEDGER_STORE_SECRET_KEY", rclone_store.secret_key)
    assert _run(home, "doctor", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"]
    assert told["features"]["server"] == "rclone"
    assert _run(home, "doctor") == 0
    shown = capsys.readouterr().out
    assert "What the store can do" in shown
    assert "to know" in shown
    monkeypatch.setenv("VOXLEDGER_STORE_SECRET_KEY", "wrong")
    assert _run(home, "doctor") == 1


def test_policies_are_printed_as_json_alone(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(home, "doctor", "--policy", "uploader", "--policy", "reader") == 0
    assert json.loads(capsys.readouterr().out) == policy(["uploader", "reader"], Settings())
    assert _run(home, "doctor", "--policy", "king") == 1
    assert "the roles are uploader" in capsys.readouterr().err


@contextmanager
def _answering(status: int, code: str) -> Iterator[S3Server]:
    """A server that answers every GET with one S3 error: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode() if code else b"Not here."
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amz-bucket-region", "eu-west-1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield S3Server(f"http://127.0.0.1:{server.server_port}", "TESTKEY", "secret", keeps_metadata=False)
        finally:
            server.shutdown()
            thread.join()


def _run(home: Home, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home.path), *arguments])
    return int(ended.value.code or 0)
