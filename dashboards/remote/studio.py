"""The studio of a node: clips are made there."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import msgspec
import requests

from voxledger.catalog.clip import Access, Clip
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import Channel
from voxledger.dashboards.faults import raised
from voxledger.dashboards.remote.clips import clip_of, named
from voxledger.dashboards.remote.connection import Connection, NodeUnreachable
from voxledger.synth.errors import UnknownVoice

if TYPE_CHECKING:
    from voxledger.synth.emotion import EmotionLike
    from voxledger.synth.studio import Chunk, SpeakOptions, Stream
    from voxledger.synth.studio.turns import Priority

_decode = msgspec.json.Decoder().decode
_CLIPS = "/api/clips"


class RemoteStudio:
    """Makes clips on a node, with the methods of `Studio`. Safe from many threads and from asyncio."""

    def __init__(self, connection: Connection, access: Access) -> None:
        self._connection = connection
        self._access = access

    def speak(
        self,
        text: str,
        *,
        voice: str | Path | None = None,
        emotion: EmotionLike = None,
        emotion_strength: float = 1.0,
        emotion_reference: str | Path | None = None,
        emotion_words: str | None = None,
        language: str | None = None,
        actor: str | None = None,
        session: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        format: str = "wav",  # the name people know
        seed: int | None = None,
        take: int = 1,
        speed: float | None = None,
        sampling: Mapping[str, float] | None = None,
        marks: bool = True,
        preset: str | None = None,
        reuse: bool = True,
        engine: str | None = None,
        channel: Channel | None = None,
        priority: Priority | None = None,
    ) -> Clip:
        """Speak `text` and record the clip, as `Studio.speak` does here.

        A voice is a name: recordings are registered first (`voices.add`). The channel that is recorded is `api`. Raises what
        `Studio.speak` raises, and NodeUnreachable.
        """
        return self._speak(
            text, voice=voice, emotion=emotion, emotion_strength=emotion_strength, emotion_reference=emotion_reference,
            emotion_words=emotion_words, language=language, actor=actor, session=session, name=name, tags=tags, format=format,
            seed=seed, take=take, speed=speed, sampling=sampling, marks=marks, preset=preset, priority=priority, reuse=reuse,
            engine=engine, channel=channel,
        )  # fmt: skip

    async def aspeak(self, text: str, **options: Unpack[SpeakOptions]) -> Clip:
        """Like `speak`, awaited."""
        return await asyncio.to_thread(partial(self._speak, text, **options))

    def stream(self, text: str, **options: Unpack[SpeakOptions]) -> Stream:
        """Like `speak`, heard from the first segment on: an iterator over chunks, whose `clip` is there at its end."""
        from voxledger.synth.studio.streaming import Stream

        heard = _Heard(self._connection, {"text": text, **_told(options)}, self._access)
        return Stream(iter(heard), heard.stop, lambda: heard.clip)

    async def astream(self, text: str, **options: Unpack[SpeakOptions]) -> AsyncIterator[Chunk]:
        """Like `stream`, for `async for`."""
        stream = await asyncio.to_thread(partial(self.stream, text, **options))
        try:
            while (chunk := await asyncio.to_thread(next, stream, None)) is not None:
                yield chunk
        finally:
            stream.close()

    def subtitles(self, reference: str | Clip, format: Literal["srt", "vtt"] = "srt") -> str:
        """A clip's text with the times at which it is heard. Raises ClipNotFound, InvalidRequest when they were not kept."""
        clip = named(reference)
        asked = {"format": format}
        with self._connection.answer("GET", f"{_CLIPS}/{clip}/subtitles", params=asked, safe=True) as response:
            return response.content.decode()

    def _speak(self, text: str, **options: Unpack[SpeakOptions]) -> Clip:
        # Made twice it is one clip: the second request is answered with it. Unless it asks for another one each time.
        again = options.get("reuse", True) is True
        answered = self._connection.send("POST", _CLIPS, {"text": text, **_told(options)}, safe=again)
        return clip_of(answered["clip"], self._access)


class _Heard:
    """The chunks of a clip that a node makes, from the lines in which it tells them."""

    def __init__(self, connection: Connection, asked: Mapping[str, Any], access: Access) -> None:
        self._connection = connection
        self._asked = asked
        self._access = access
        self._left = threading.Event()
        self._open: requests.Response | None = None
        self.clip: Clip | None = None

    def __iter__(self) -> Iterator[Chunk]:
        heard = False
        with self._connection.answer("POST", f"{_CLIPS}/stream", body=self._asked, stream=True) as response:
            self._open = response
            try:
                for line in _lines(response):
                    if self._left.is_set():
                        return
                    told = _decode(line)
                    if "clip" in told:
                        self.clip = clip_of(told["clip"], self._access)
                        break
                    if "error" in told:
                        raise raised(500, told)
                    heard = True
                    yield _chunk(told["chunk"])
            except (requests.RequestException, msgspec.DecodeError) as error:
                if self._left.is_set():
                    return
                raise NodeUnreachable(
                    "the node's answer broke off before the clip was there; ask for it again"
                ) from error
        if self.clip is None:
            raise NodeUnreachable("the node's answer ended before the clip was there; ask for it again")
        if not heard:
            from voxledger.synth.studio.streaming import finished

            yield from finished(self.clip, "")  # it was there already: from its file

    def stop(self) -> None:
        """Hear no more: the node notices that the line is closed."""
        self._left.set()
        if self._open is not None:
            self._open.close()


def _lines(response: requests.Response) -> Iterator[bytes]:
    """Lines as they come; what has no end is none."""
    rest = b""
    for piece in response.iter_content(None):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _chunk(told: Mapping[str, Any]) -> Chunk:
    import numpy as np

    from voxledger.synth.studio import Chunk

    samples = np.frombuffer(base64.b64decode(told["samples"]), dtype="<f4").astype(np.float32)
    return Chunk(samples=samples, sample_rate=told["sample_rate"], text=told["text"], start=told["start"])


def _told(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as JSON: what is as it would be anyway is left out, so that an older node understands as much as it can."""
    told = {name: value for name, value in options.items() if value is not None and name != "channel"}
    for what in ("voice", "emotion_reference"):
        if isinstance(told.get(what), Path):
            raise UnknownVoice(
                f"{told[what]} is a file of this machine, and the node has registered voices; register it there: voices.add(NAME, FILE)"
            )
    emotion = told.get("emotion")
    if emotion is not None and not isinstance(emotion, (str, Mapping, list)):
        from voxledger.synth.emotion import Emotion

        told["emotion"] = (
            Emotion.of(emotion).as_dict() if isinstance(emotion, Emotion) else [float(weight) for weight in emotion]
        )
        if isinstance(emotion, Emotion):
            told["emotion_strength"] = emotion.strength * told.get("emotion_strength", 1.0)
    if "tags" in told:
        told["tags"] = [told["tags"]] if isinstance(told["tags"], str) else list(told["tags"])
    try:
        msgspec.json.encode(told)
    except TypeError as error:
        raise VoxledgerError(f"this request cannot be sent to a node: {error}") from None
    return told
