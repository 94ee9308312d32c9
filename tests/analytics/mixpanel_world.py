"""A HOME that delivers to a stand-in for Mixpanel on loopback."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests import forking
from tests.mixpanel_server import MixpanelServer
from voxledger.analytics.mixpanel import Mixpanel
from voxledger.catalog import settings
from voxledger.catalog.events import AudioAccessed, Event, Fact, GenerationCompleted, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription
from voxledger.catalog.vault import ActorKey

_PROCESS = """
import os, signal, sys
from voxledger.analytics.mixpanel import Mixpanel
from voxledger.catalog import settings
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription
from voxledger.catalog.vault import Vault
path, url, killed = sys.argv[1:]
home = Home.open(path)
recorder = Recorder(Journal(home.journal), Vault(home.vault))
subscription = Subscription("mixpanel", Keeper(home, recorder))
if killed == "killed":
    subscription.advance = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
print(Mixpanel(settings.Mixpanel(token="token", endpoint=url), subscription, recorder).deliver().state)
"""


@dataclass
class World:
    recorder: Recorder
    subscription: Subscription
    server: MixpanelServer
    home: Home
    ann: ActorKey
    pauses: list[float] = field(default_factory=list)

    def mixpanel(self, **changes: Any) -> Mixpanel:
        values = {"token": "token", "endpoint": self.server.url} | changes
        return Mixpanel(
            settings.Mixpanel(**values),
            self.subscription,
            self.recorder,
            pause=lambda seconds, _: self.pauses.append(seconds),
        )

    def record(self, *facts: Fact, actor: ActorKey | None = None, time: datetime | None = None) -> list[Event]:
        who = actor or self.ann
        return self.recorder.journal.emit(
            *(self.recorder.draft(fact, subject=new_id(), actor=who, time=time) for fact in facts)
        )

    def plays(self, count: int) -> list[Event]:
        return self.record(*[AudioAccessed(channel="web", purpose="play")] * count)

    def process(self, how: str = "") -> forking.Process:
        return forking.spawn(["-c", _PROCESS, self.home.path, self.server.url, how], stdout=subprocess.PIPE)

    def arrived(self) -> list[str]:
        """The ids that an analyst sees, once each."""
        return sorted(key[3] for key in self.server.events)

    def quarantined(self) -> list[tuple[str, dict[str, Any]]]:
        found = [
            event for event in Subscription("look", self.subscription.keeper).batch(10**6).events
            if event.type == "DeliveryQuarantined"
        ]  # fmt: skip
        return [(event.subject, event.data) for event in found]


def generated(**changes: Any) -> GenerationCompleted:
    values: dict[str, Any] = {
        "channel": "python",
        "features": ("emotion", "cloning"),
        "engine": "espeak",
        "engine_version": "1.52",
        "model": "m",
        "model_revision": "f" * 40,
        "device": "cpu",
        "determinism": "bytes",
        "language": "en",
        "language_detected": False,
        "voice_sha256": "5" * 64,
        "emotion_mode": "vector",
        "emotion": "happy",
        "emotion_strength": 1.0,
        "emotion_asked": (0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2),
        "emotion_effective": (0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1),
        "dropped": (),
        "text_length": 20,
        "text_hash": "ab" * 16,
        "seed": 7,
        "take": 1,
        "sampling": {},
        "format": "wav",
        "sample_rate": 22050,
        "channels": 1,
        "duration_us": 1234567,
        "bytes": 54321,
        "sha256": "cd" * 32,
        "loudness_lufs": -16.1,
        "true_peak_dbtp": None,
        "queue_us": 10,
        "synthesis_us": 20000,
        "audio_us": 3000,
        "encode_us": 500,
        "segments": 1,
        "bucket": "indextts-audio",
        "fingerprint": "ef" * 16,
        "actor_label": "CANARY label",
        "session": "CANARY session",
        "name": "CANARY name",
        "key": "CANARY/key.wav",
        "path": "/CANARY/path.wav",
        "text": "CANARY text",
        "voice_name": "CANARY voice",
        "tags": ("CANARY tag",),
    }
    return GenerationCompleted(**(values | changes))
