"""Canaries: words that occur nowhere else go through the whole node, and must not come out where nobody may read them.

They stand for secrets in settings, tokens, a text, a name, a session and a person. They may be in answers that hold what was asked
for, never in its log at any level, its metrics, the body of an error, its traces, or what Mixpanel receives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.mixpanel_server import MixpanelServer
from tests.node import PATIENCE, RunningNode, running_node
from tests.otlp_collector import Collector
from tests.s3 import running_rclone, wait_for
from tests.speech_server import Fault, SpeechServer
from tests.webhook_server import SECRET as WEBHOOK_PATH
from tests.webhook_server import WebhookServer
from voxledger.catalog.settings import is_secret, names

TEXT = "Quorvexelt says that the tide is turning"
WORD = "Quorvexelt"
NAME, SESSION, PERSON = "nulbrimsatch", "dreffilomp", "ostrivandel"
ASKED = "wrixapotune"
"""What somebody searches for, or writes into a query, that no clip holds."""
SECRETS = {
    "store.access_key": "CANARYSTOREKEY0PLIMBORN", "store.secret_key": "canary0store0secret0vastrume",
    "backup.key": "canary-backup-key-hostrimple", "backup.vault_key": "canary-vault-key-jundriffle",
    "backup.access_key": "CANARYBACKUPKEY0MELTRIX", "backup.secret_key": "canary0backup0secret0yandrope",
    "mixpanel.token": "canarymixpaneltokenfrobust", "mixpanel.service_secret": "canary-service-secret-gloptine",
    "mixpanel.gdpr_token": "canary-gdpr-token-brusquivel", "mail.password": "canary-mail-password-trindolf",
    "webhook.url": "",  # of the stand-in, whose path is the secret
}  # fmt: skip
SPEECH = "/v1/audio/speech"
REMOTE_KEY = "canary-remote-key-swaldigrue"


@dataclass
class World:
    """A node that everything went through, and what came out of it."""

    node: RunningNode
    metrics: str = ""
    refusals: list[str] = field(default_factory=list)
    """The bodies and headers of all answers that are errors."""
    spans: bytes = b""
    delivered: bytes = b""
    printed: str = ""
    tokens: list[str] = field(default_factory=list)
    clips: int = 0
    surprises: list[str] = field(default_factory=list)
    """Answers that were not as they should be."""

    def given(self, answer: httpx.Response, what: str) -> str:
        """The answer to something that is right."""
        if answer.status_code not in (200, 201, 202):
            self.surprises.append(f"{what}: {answer.status_code} {answer.text[:300]}")
        return answer.text

    def refused(self, answer: httpx.Response, what: str, *statuses: int) -> None:
        """It should be an error with one of these statuses, or any that is the client's."""
        if answer.status_code not in (statuses or range(400, 500)):
            self.surprises.append(f"{what}: {answer.status_code} {answer.text[:300]}")

    def client(self, token: str | None = None) -> httpx.Client:
        def noted(answer: httpx.Response) -> None:
            if answer.status_code >= 400:
                answer.read()
                shown = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
                self.refusals.append(f"{answer.request.method} {answer.status_code}\n{shown}\n{answer.text}")

        made = self.node.client(token)
        made.event_hooks["response"] = [noted]
        return made


@pytest.fixture(scope="module", params=["text", "json"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("canaries")
    with (
        running_rclone(folder / "store", anonymous=True) as store,
        MixpanelServer(
            token=SECRETS["mixpanel.token"], accounts={"somebody": (SECRETS["mixpanel.service_secret"], "1")}
        ) as mixpanel,
        Collector() as collector,
        WebhookServer() as webhook,
        SpeechServer(key="another key") as speech,
    ):
        secret = {**SECRETS, "webhook.url": webhook.url}
        settings = {name.replace(".", "_"): value for name, value in secret.items()} | {
            "store_endpoint": store.url, "backup_endpoint": store.url, "mixpanel_endpoint": mixpanel.url,
            "mixpanel_service_account": "somebody", "mixpanel_project_id": "1", "schedule_deliver": "200ms", "schedule_send": "200ms",
            "mail_host": "127.0.0.1", "mail_port": 1, "mail_user": "voxledger", "mail_security": "starttls",
            "mail_sender": "a@example.org", "mail_to": "b@example.org", "remote_url": speech.url,
            "remote_key_variable": "VOXLEDGER_TEST_KEY", "remote_model": "tts-1", "serve_traces": collector.url, "serve_log": request.param,
            "serve_log_level": "debug", "general_actor": PERSON, "synth_max_text": 10_000,
        }  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VOXLEDGER_TEST_KEY", REMOTE_KEY)
            with running_node(folder / "home", **settings) as node:
                found = World(node)
                echo = json.dumps(
                    {"error": {"message": f"cannot say {TEXT}", "type": "x", "param": None, "code": None}}
                )
                speech.faults.extend([Fault(status=400, body=echo.encode()), Fault(status=500, body=echo.encode())] * 4)
                _everything(found)
                wait_for(lambda: len(mixpanel.events) > found.clips, "Mixpanel hears of the clips", seconds=PATIENCE)
                collector.wait("upload", patience=PATIENCE)
                with node.client() as client:
                    found.metrics = client.get("/metrics").text
                node.stop()
                found.printed = node.printed()
                found.spans = b"".join(collector.bodies)
                found.delivered = b"".join(each.body for each in mixpanel.requests)
                yield found


def _everything(world: World) -> None:
    with world.client() as owner:
        for role in ("creator", "admin", "viewer"):
            made = owner.post("/api/tokens", json={"role": role, "name": f"{PERSON}-{role}"})
            assert made.status_code == 201, made.text
            world.tokens.append(made.json()["token"])
    creator, admin, viewer = world.tokens
    with world.client(creator) as client:
        _speech(world, client)
    with world.client(viewer) as client:
        world.refused(client.post(SPEECH, json=_asked()), "a viewer speaks", 403)
    with world.client(f"vox_{'0' * 12}_{WORD}{'x' * 33}") as stranger:
        world.refused(stranger.post(SPEECH, json=_asked()), "a stranger speaks", 401)
    with world.client(admin) as client:
        _questions(world, client)
        _mistakes(world, client)


def _asked(**more: Any) -> dict[str, Any]:
    return {
        "model": "espeak",
        "voice": "alloy",
        "input": TEXT,
        "name": NAME,
        "session": SESSION,
        "response_format": "wav",
        **more,
    }


def _speech(world: World, client: httpx.Client) -> None:
    longer = ". ".join([TEXT] * 15)
    keyed = {"Idempotency-Key": "one-key"}
    for more in ({}, {}, {"take": 2, "stream_format": "sse"}, {"response_format": "mp3"}, {"input": longer}):
        world.given(client.post(SPEECH, json=_asked(**more)), f"speech with {list(more)}")
        world.clips += 1
    world.given(client.post(SPEECH, json=_asked(), headers=keyed), "speech under a key")
    world.refused(client.post(SPEECH, json=_asked(input=f"{TEXT} again"), headers=keyed), "another under it", 422)
    for _ in range(2):  # whose server says back what it was sent, with an error
        world.refused(client.post(SPEECH, json=_asked(model="remote")), "a remote engine", 400, 500, 502, 503)
    for wrong in (
        {"input": [TEXT]}, {"input": TEXT * 1000}, {"input": f"{TEXT}\x00"}, {"name": [NAME]}, {"session": {SESSION: 1}}, {ASKED: 1},
        {"language": "zz-zz"}, {"emotion": "no such"}, {"seed": TEXT}, {"name": f"{NAME}\x01"}, {"session": SESSION * 1000},
        {"tags": [TEXT, f"{TEXT}\x00"]}, {"actor": PERSON, "input": TEXT}, {"speed": TEXT}, {"voice": "no-such-voice"},
        {"engine": "no-such-engine"}, {"emotion_strength": TEXT},
    ):  # fmt: skip
        world.refused(client.post(SPEECH, json=_asked(**wrong)), f"speech with a wrong {list(wrong)}")
        world.refused(client.post("/api/clips", json={"text": TEXT, **wrong}), f"a clip with a wrong {list(wrong)}")
    for broken in (f'{{"input": "{TEXT}"', f'"{TEXT}"', f'{{"input": {TEXT}}}', f'{{"input": "{TEXT}\\ud800"}}', TEXT):
        for door in (SPEECH, "/api/clips"):
            answer = client.post(door, content=broken, headers={"Content-Type": "application/json"})
            world.refused(answer, f"{door} with broken JSON", 400, 422)


def _questions(world: World, client: httpx.Client) -> None:
    """What may be asked, with answers that hold the words."""
    assert WORD in world.given(client.get("/api/search", params={"q": WORD}), "search")
    found = client.get("/api/clips", params={"session": SESSION}).json()["clips"]
    assert found[0]["name"] == NAME
    for path in ("", "/history", "/record", "/audio", "/waveform", "/subtitles"):
        world.given(client.get(f"/api/clips/{found[0]['id']}{path}"), path)
    asked = {"query": "SELECT text FROM clips WHERE session = $session", "params": {"session": SESSION}}
    world.given(client.post("/api/sql", json=asked), "sql")
    for path in ("/api/status", "/api/retention", "/api/retention/plan", f"/api/retention/explain/{found[0]['id']}"):
        world.given(client.get(path), path)
    world.given(client.post("/api/jobs", json=[TEXT, f"{TEXT}\x00"]), "a job")
    world.given(client.post("/api/holds", json={"clips": [found[0]["id"]], "reason": TEXT}), "a hold")


def _mistakes(world: World, client: httpx.Client) -> None:
    """What may not be asked, or is asked in a wrong way."""
    for query in (
        f"SELECT '{TEXT}'::INTEGER", "SELECT text::INTEGER FROM clips", f"SELECT {ASKED} FROM clips", f"SELEC '{TEXT}'", f"FROM {ASKED}",
        f"SELECT * FROM read_csv('/{ASKED}')", "SELECT session::DATE FROM clips", "SELECT error(text) FROM clips",
        "SELECT error(name) FROM clips", f"SELECT text FROM clips WHERE text = '{TEXT}' AND {ASKED} = 1",
        "SELECT strptime(text, '%Y') FROM clips",
    ):  # fmt: skip
        world.refused(client.post("/api/sql", json={"query": query}), query)
    for path in (
        f"/api/clips/{ASKED}", f"/{TEXT}", f"/api/clips?limit={TEXT}", f"/api/search?q={quote(TEXT)}&limit={SESSION}",
        f"/api/retention/explain/{ASKED}", f"/api/clips?cursor={ASKED}", f"/api/clips?order={ASKED}", f"/api/jobs/{ASKED}",
    ):  # fmt: skip
        world.refused(client.get(path), path)
    client.get("/api/search", params={"q": f'"{WORD} AND ('})
    client.request("DELETE", f"/api/clips/{NAME}/tags", content=TEXT)
    for route in ("/api/sql", "/api/holds", "/api/retention/apply", "/api/tokens", "/api/jobs", SPEECH):
        for body in (f'{{"{ASKED}": "{TEXT}"}}', f'[[["{TEXT}"]]', TEXT):
            world.refused(
                client.post(route, content=body, headers={"Content-Type": "application/json"}), f"{route} {body}"
            )
    world.refused(client.get("/api/clips", headers={"Host": f"{SESSION}.example.org"}), "another host", 421)
    world.refused(client.get("/api/clips", headers={"Authorization": f"{NAME} {TEXT}"}), "another scheme", 401)


def _words(world: World) -> dict[str, str]:
    """Each canary by what it is."""
    found = {name: value for name, value in SECRETS.items() if value}
    found |= {f"token {number}": token.rpartition("_")[2] for number, token in enumerate(world.tokens)}
    found |= {
        "webhook.url": WEBHOOK_PATH, "remote key": REMOTE_KEY, "text": WORD, "name": NAME, "session": SESSION, "person": PERSON,
        "owner": world.node.secret,
    }  # fmt: skip
    return found


def _leaked(world: World, where: str, *, but: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Which canaries stand in it, with what stands around them."""
    lower, found = where.lower(), []
    for what, word in _words(world).items():
        place = lower.find(word.lower())
        if what not in but and place >= 0:
            found.append((what, where[max(0, place - 200) : place + 100]))
    return found


def test_every_secret_setting_has_a_canary() -> None:
    assert set(SECRETS) == {name for name in names() if is_secret(name)}


def test_everything_was_answered_as_it_should(world: World) -> None:
    assert not world.surprises, "\n".join(world.surprises)


def test_the_log_holds_none(world: World) -> None:
    log = world.node.said()
    assert "POST /v1/audio/speech 200" in log
    assert "POST /v1/audio/speech 422" in log
    assert not _leaked(world, log)
    assert ASKED not in log


def test_metrics_hold_none(world: World) -> None:
    assert 'outcome="failed"' in world.metrics
    assert not _leaked(world, world.metrics)
    assert ASKED not in world.metrics


def test_errors_hold_none(world: World) -> None:
    assert len(world.refusals) > 80
    leaks = [leak for refusal in world.refusals for leak in _leaked(world, refusal)]
    assert not leaks, "\n\n".join(f"{what}: {around}" for what, around in leaks)


def test_traces_hold_none(world: World) -> None:
    assert b"POST /v1/audio/speech" in world.spans
    assert not _leaked(world, world.spans.decode("latin-1"))


def test_what_mixpanel_hears_holds_none(world: World) -> None:
    assert SECRETS["mixpanel.token"].encode() in world.delivered, "it is how Mixpanel knows the project"
    assert not _leaked(world, world.delivered.decode("latin-1"), but=("mixpanel.token",))


def test_standard_output_holds_the_first_token_and_nothing_else(world: World) -> None:
    assert world.printed.startswith("vox_")
    assert len(world.printed.split()) == 1


def test_no_stack_trace_and_no_error_of_ours(world: World) -> None:
    assert "Traceback" not in world.node.said()
    assert not [refusal for refusal in world.refusals if " 500\n" in refusal[:12]]
