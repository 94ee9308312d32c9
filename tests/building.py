"""What tests build again and again: a HOME with its parts, and events as the studio records them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from voxledger.catalog.events import Event, GenerationCompleted, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.vault import Vault


class Parts:
    """A HOME's journal, vault and keeper without the engine floor."""

    def __init__(self, path: Path) -> None:
        self.home = Home.open(path)
        self.vault = Vault(self.home.vault)
        self.journal = Journal(self.home.journal)
        self.recorder = Recorder(self.journal, self.vault)
        self.keeper = Keeper(self.home, self.recorder)

    def close(self) -> None:
        self.recorder.accesses.close()
        self.journal.close()
        self.vault.close()

    def record(self, fact: Any, subject: str, *, actor: str = "ann", time: datetime | None = None) -> Event:
        draft = self.recorder.draft(fact, subject=subject, actor=self.vault.actor(actor), time=time)
        return self.journal.emit(draft)[0]

    def clip(self, *, actor: str = "ann", time: datetime | None = None, **changes: Any) -> str:
        """Record a generation; gives the clip's id."""
        clip = new_id()
        self.record(completed(actor_label=actor, **changes), clip, actor=actor, time=time)
        return clip

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.keeper.reading() as reading:
            return reading.rows(query)


def completed(**changes: Any) -> GenerationCompleted:
    """A whole GenerationCompleted, about 1.5 kB as JSON."""
    facts: dict[str, Any] = {
        "channel": "python", "features": ("emotion",), "engine": "espeak", "engine_version": "1.52.0", "model": "espeak-ng",
        "model_revision": "4ee56a43-48a7996a", "device": "cpu", "determinism": "bytes", "language": "en",
        "language_detected": True, "voice_sha256": None, "emotion_mode": "vector", "emotion": "happy",
        "emotion_asked": (0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), "emotion_effective": (0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        "emotion_strength": 1.0, "dropped": (), "text_length": 20, "text_hash": "ab" * 16, "seed": None, "take": 1, "sampling": {},
        "format": "wav", "sample_rate": 22050, "channels": 1, "duration_us": 1_500_000, "bytes": 66_194, "sha256": "cd" * 32,
        "loudness_lufs": -14.1, "true_peak_dbtp": -1.2, "queue_us": 10, "synthesis_us": 20_000, "audio_us": 3_000, "encode_us": 500,
        "segments": 1, "bucket": "indextts-audio", "fingerprint": "ef" * 16, "actor_label": "ann", "session": "default",
        "name": "tide", "key": "ann/default/tide.wav", "path": "/nowhere/tide.wav", "text": "The tide is turning.",
        "voice_name": None, "tags": (),
    }  # fmt: skip
    return GenerationCompleted(**{**facts, **changes})


NOBODY = "http://127.0.0.1:9"
"""An endpoint where nobody answers (the discard port), so that uploads wait."""
