"""A clip: one generated piece of audio, as the Python API hands it out."""

from __future__ import annotations

import base64
import html
import io
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from voxledger.catalog.errors import ClipNotFound, VoxledgerError
from voxledger.catalog.lazy import lazy

Purpose: TypeAlias = Literal["play", "fetch", "link"]
"""What a clip was used for."""
CONTENT_TYPES: Mapping[str, str] = {
    "wav": "audio/wav", "flac": "audio/flac", "opus": "audio/ogg", "ogg": "audio/ogg", "mp3": "audio/mpeg", "aac": "audio/aac",
    "pcm": "audio/pcm",
}  # fmt: skip
_PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("mpv", "--really-quiet", "--no-video"),
    ("afplay",),
    ("pw-play",),
    ("paplay",),
    ("play", "-q"),
    ("aplay", "-q"),
)
"""Command-line players, the ones that know every format first."""


class Access(Protocol):
    """What a clip needs to reach its audio."""

    def local(self, clip: Clip) -> Path:
        """A local file with the clip's audio, from the cache or the store."""

    def fetch(self, clip: Clip) -> Path:
        """The same, as a use of the clip."""

    def url(self, clip: Clip, expires: int) -> str:
        """A presigned link that works for `expires` seconds, as a use of the clip."""

    def accessed(self, clip: Clip, purpose: Purpose) -> None:
        """Note that the clip was used."""


class Clip(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One generated piece of audio. `path` is where it lies in the cache; `fetch` brings it back when it is not there.

    `pinned_until` is when its pin ends, or ended, by itself; None for a pin without an end, and without one.
    """

    id: str
    created: datetime
    actor: str | None
    session: str | None
    name: str | None
    text: str | None
    language: str
    voice: str | None
    emotion: str
    engine: str
    format: str
    sample_rate: int
    duration_us: int
    bytes: int
    sha256: str
    loudness_lufs: float | None
    take: int
    dropped: tuple[str, ...]
    tags: tuple[str, ...]
    bucket: str
    key: str | None
    path: Path | None
    state: str = "local"
    pinned: bool = False
    pinned_until: datetime | None = None
    voice_sha256: str | None = None
    true_peak_dbtp: float | None = None
    silence_share: float | None = None
    speech_rate: float | None = None
    suspect: tuple[str, ...] = ()
    rating: int | None = None
    reused: bool = False

    @staticmethod
    def named(reference: str | Clip) -> str:
        """The id, or the part of one, by which a caller names a clip. Raises ClipNotFound for what names none."""
        if isinstance(reference, Clip):
            return reference.id
        if not isinstance(reference, str):
            raise ClipNotFound(f"a clip is named by its id, or by a Clip, not by {reference!r}")
        return reference.strip().lower()

    @property
    def short(self) -> str:
        """The last 8 hex digits of the id: what people see and type."""
        return self.id[-8:]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.duration_us / 1e6

    @property
    def content_type(self) -> str:
        """MIME type of the audio."""
        return CONTENT_TYPES[self.format]

    def bound(self, access: Access) -> Clip:
        """The same clip with a way to its audio."""
        self.__dict__["_access"] = access
        return self

    @lazy
    def _access(self) -> Access:
        raise VoxledgerError(f"clip {self.short} was not taken from a catalog; use ledger.catalog.clip({self.id!r})")

    def fetch(self) -> Path:
        """A local file with the audio: the cached one, or downloaded from the store. Counts as use. Raises StoreError."""
        return self._access.fetch(self)

    def local(self) -> Path:
        """Like `fetch`, but does not count as use: for whoever made the clip just now."""
        return self._access.local(self)

    def url(self, expires: int = 300) -> str:
        """A presigned link that works for `expires` seconds (7 days at most). Counts as use."""
        return self._access.url(self, expires)

    def play(self) -> None:
        """Play it on this machine's loudspeaker and wait for the end. Counts as use.

        Raises VoxledgerError without a player; it names the file, which counts as use, too.
        """
        path = self.local()
        try:
            with self._playable(path) as file:
                self._play(file, path)
        except VoxledgerError:
            self._access.accessed(self, "fetch")  # the error names the file, which somebody opens then
            raise
        self._access.accessed(self, "play")

    def _play(self, file: Path, path: Path) -> None:
        for name, *options in _PLAYERS:
            program = shutil.which(name)
            if program and (name != "aplay" or file.suffix == ".wav"):
                ended = subprocess.run(
                    [program, *options, str(file)], check=False, stdin=subprocess.DEVNULL, capture_output=True
                )  # argv is ours
                if ended.returncode:
                    raise VoxledgerError(
                        f"{name} could not play {path} (exit status {ended.returncode}); is there a loudspeaker?"
                    )
                return
        raise VoxledgerError(f"there is no audio player on this machine (ffplay, mpv, sox, …); the file is {path}")

    @contextmanager
    def _playable(self, path: Path) -> Iterator[Path]:
        """The file, or one that says its rate: players know nothing about raw PCM."""
        if self.format != "pcm":
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="voxledger-") as folder:
            file = Path(folder) / "clip.wav"
            file.write_bytes(_with_header(path.read_bytes(), self.sample_rate))
            yield file

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "id": self.id, "short": self.short, "created": self.created.isoformat(), "actor": self.actor, "session": self.session,
            "name": self.name, "language": self.language, "voice": self.voice, "emotion": self.emotion, "engine": self.engine,
            "format": self.format, "sample_rate": self.sample_rate, "duration": self.duration, "bytes": self.bytes,
            "sha256": self.sha256, "loudness_lufs": self.loudness_lufs, "take": self.take, "dropped": list(self.dropped),
            "tags": list(self.tags), "bucket": self.bucket, "key": self.key, "path": str(self.path) if self.path else None,
            "state": self.state, "pinned": self.pinned,
            "pinned_until": self.pinned_until.isoformat() if self.pinned_until else None,
            "voice_sha256": self.voice_sha256, "true_peak_dbtp": self.true_peak_dbtp, "silence_share": self.silence_share,
            "speech_rate": self.speech_rate, "suspect": list(self.suspect),
            "rating": self.rating, "reused": self.reused,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"<Clip {self.short} {self.duration:.2f} s {self.language} {self.emotion} {self.format}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a player with the facts below it. The audio is embedded, so it plays anywhere."""
        facts = f"{self.short} · {self.duration:.2f} s · {self.language} · {self.emotion} · {self.engine}"
        try:
            data, kind = self.local().read_bytes(), self.content_type
            if self.format == "pcm":
                data, kind = _with_header(data, self.sample_rate), CONTENT_TYPES["wav"]
            sound = base64.b64encode(data).decode()
            player = f'<audio controls preload="metadata" src="data:{kind};base64,{sound}"></audio>'
        except (VoxledgerError, OSError) as error:
            player = f"<em>{html.escape(str(error))}</em>"
        title = html.escape(self.name or "clip")
        return f"<figure><figcaption><strong>{title}</strong> <small>{html.escape(facts)}</small></figcaption>{player}</figure>"


def _with_header(samples: bytes, sample_rate: int) -> bytes:
    """Raw PCM, 16-bit mono, as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples)
    return buffer.getvalue()
