"""Credentials: found where boto3 finds them, and never shown to anybody."""

from __future__ import annotations

import http.server
import os
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests import forking
from tests.s3 import S3Server
from tests.soak import some
from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.client import CREDENTIALS
from voxledger.catalog.objects.credentials import find_credentials
from voxledger.catalog.settings import Settings
from voxledger.catalog.settings import Store as StoreSettings

CANARY = "CANARY0secret0that0nobody0may0see"
CANARY_KEY = "CANARYKEY0THAT0NOBODY0MAY0SEE"
_STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/vox/s</Arn>
<AssumedRoleId>a:s</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but those of the test, and no question to the metadata service of a cloud."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


def _works(home: Home, settings: StoreSettings, bucket: str) -> None:
    store = Store(home, settings)
    store.put(bucket, "a", b"sound")
    assert store.get(bucket, "a") == b"sound"
    store.close()


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch, home: Home, s3: S3Server, bucket: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    settings = StoreSettings(endpoint=s3.url)
    _works(home, settings, bucket)
    assert find_credentials(settings).source == "the environment (AWS_ACCESS_KEY_ID)"


def test_keys_of_a_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Home, rclone_store: S3Server, bucket: str
) -> None:
    (tmp_path / "credentials").write_text(
        f"[voices]\naws_access_key_id = {rclone_store.access_key}\naws_secret_access_key = {rclone_store.secret_key}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "voices")
    settings = StoreSettings(endpoint=rclone_store.url)
    _works(home, settings, bucket)
    assert find_credentials(settings).source == "the file of AWS credentials, profile voices"


def test_keys_of_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Home, rclone_store: S3Server, bucket: str
) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(
        f'{{"Version": 1, "AccessKeyId": "{rclone_store.access_key}", "SecretAccessKey": "{rclone_store.secret_key}"}}'
    )
    (tmp_path / "config").write_text(f"[profile vault]\ncredential_process = cat {answer}\n")
    monkeypatch.setenv("AWS_PROFILE", "vault")
    settings = StoreSettings(endpoint=rclone_store.url)
    _works(home, settings, bucket)
    assert (
        find_credentials(settings).source == "a program that the AWS profile names (credential_process), profile vault"
    )


@pytest.fixture
def token_service(rclone_store: S3Server) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """The part of AWS STS that changes a web identity into keys: here those of rclone."""
    asked: list[dict[str, list[str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            body = _STS.format(key=rclone_store.access_key, secret=rclone_store.secret_key).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_keys_for_a_web_identity(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    home: Home,
    rclone_store: S3Server,
    bucket: str,
    token_service: tuple[str, list[dict[str, list[str]]]],
) -> None:
    url, asked = token_service
    (tmp_path / "token").write_text("who I am")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/vox")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    settings = StoreSettings(endpoint=rclone_store.url)
    _works(home, settings, bucket)
    assert asked[0]["WebIdentityToken"] == ["who I am"]
    found = find_credentials(settings)
    assert (found.source, found.temporary) == ("a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no keys were found"),
        ({"access_key": CANARY_KEY}, "store.access_key is set, store.secret_key is not"),
        ({"secret_key": CANARY}, "store.secret_key is set, store.access_key is not"),
    ],
)
def test_keys_that_are_missing_are_named(given: dict[str, str], said: str) -> None:
    trouble = find_credentials(StoreSettings(endpoint="http://127.0.0.1:9", **given)).trouble
    assert said in trouble
    assert "CANARY" not in trouble


def test_a_profile_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    settings = StoreSettings(endpoint="http://127.0.0.1:9")
    assert find_credentials(settings).trouble.startswith("no keys could be had (ProfileNotFound)")
    with pytest.raises(StoreError, match="check the section") as refused:
        Store(home, settings).head("b", "k")
    assert refused.value.code in CREDENTIALS, "uploads wait for it, and are not given up"


def test_settings_and_tracebacks_show_no_secret(home: Home, rclone_store: S3Server) -> None:
    settings = Settings(store=StoreSettings(endpoint=rclone_store.url, access_key=CANARY_KEY, secret_key=CANARY))
    store = Store(home, settings.store)
    with pytest.raises(StoreError) as refused:
        store.get("bucket", "key")
    shown = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    # Locals of boto3 itself hold the keys; ours must not.
    ours = [frame for frame in shown.stack if "/catalog/" in frame.filename]
    assert ours
    assert CANARY not in repr((settings, store, [frame.locals for frame in ours], str(refused.value)))


@pytest.mark.parametrize(("where", "server"), some([("environment", "ceph"), ("file", "rclone"), ("aws", "rclone")]))
def test_no_secret_reaches_output_logs_or_files(
    tmp_path: Path, request: pytest.FixtureRequest, where: str, server: str
) -> None:
    """Every command about the store and the settings, with keys that the store refuses."""
    s3: S3Server = request.getfixturevalue(f"{server}_store")
    home = tmp_path / "home"
    home.mkdir()
    environ = {**os.environ, "VOXLEDGER_STORE_ENDPOINT": s3.url, "VOXLEDGER_HOME": str(home)}
    if where == "file":
        (home / "voxledger.toml").write_text(f'[store]\naccess_key = "{CANARY_KEY}"\nsecret_key = "{CANARY}"\n')
    elif where == "environment":
        environ |= {"VOXLEDGER_STORE_ACCESS_KEY": CANARY_KEY, "VOXLEDGER_STORE_SECRET_KEY": CANARY}
    else:
        environ |= {"AWS_ACCESS_KEY_ID": CANARY_KEY, "AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": CANARY}
    said = _run(
        environ, "config", "config --json", "status --json", "store status", "store retry", "lifecycle show", "doctor --json",
        "--verbose doctor", "doctor --policy reader",
    )  # fmt: skip
    assert "(set)" in said or where == "aws"
    assert "the keys are refused" in said
    assert "CANARY" not in said
    _assert_in_no_file(home, b"CANARY")


def test_nor_does_one_that_the_store_takes(tmp_path: Path, rclone_store: S3Server) -> None:
    home = tmp_path / "home"
    environ = {
        **os.environ,
        "VOXLEDGER_HOME": str(home),
        "VOXLEDGER_STORE_ENDPOINT": rclone_store.url,
        "VOXLEDGER_STORE_ACCESS_KEY": rclone_store.access_key,
        "VOXLEDGER_STORE_SECRET_KEY": rclone_store.secret_key,
    }
    said = _run(environ, "config", "--verbose doctor", "doctor --json", "store status")
    assert '"healthy": true' in said
    for secret in (rclone_store.access_key, rclone_store.secret_key):
        assert secret not in said
        _assert_in_no_file(home, secret.encode())


def _run(environ: dict[str, str], *commands: str) -> str:
    """What commands say on both channels."""
    said = ""
    for command in commands:
        done = forking.run(["-m", "voxledger", *command.split()], env=environ)
        assert "Traceback" not in done.stderr, done.stderr
        said += done.stdout + done.stderr
    return said


def _assert_in_no_file(home: Path, secret: bytes) -> None:
    files = [path for path in home.rglob("*") if path.is_file() and path.name != "voxledger.toml"]
    assert files
    for path in files:
        assert secret not in path.read_bytes(), path


@pytest.mark.parametrize("value", [f"{CANARY}\n", f"{CANARY} ", f"{CANARY}é"])
def test_a_key_that_was_copied_badly_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, home: Home, value: str
) -> None:
    from voxledger.catalog.errors import SettingsError
    from voxledger.catalog.settings import load

    with pytest.raises(SettingsError, match=r"store\.secret_key holds") as refused:
        load(home.path, overrides={"store.secret_key": value}, environ={})
    assert CANARY not in str(refused.value)
    with pytest.raises(SettingsError, match="user name and a password") as refused:
        load(home.path, overrides={"store.endpoint": f"http://me:{CANARY}@host:9000"}, environ={})
    assert CANARY not in str(refused.value)


def test_the_embedded_store_has_no_keys_in_any_argv(home: Home) -> None:
    store = Store(home, StoreSettings())
    try:
        store.put("bucket", "key", b"sound")
        assert store.embedded is not None
        state = store.embedded.files.read()
        assert state is not None
        assert state.owner is not None
        assert state.server is not None
        for process in (state.owner, state.server):
            argv = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
            assert state.secret_key not in argv
            assert state.access_key not in argv
    finally:
        assert store.embedded is not None
        store.embedded.stop()
