"""Events: the answer as server-sent events, as OpenAI's reference names them.

https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event and …/speech-audio-done-event
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.dashboards.faults import Refused, body

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip

TYPE = "text/event-stream; charset=utf-8"
_TOKENS_PER_S = 20
"""OpenAI's models count a token for each 50 ms of sound that they make."""
_LARGEST = 48_000
"""Bytes of audio in an event: whole groups of three, so that the parts of the base64 could be joined, too."""
_encode = msgspec.json.Encoder().encode


def delta(audio: bytes) -> bytes:
    """What comes next of the audio, as one event or several."""
    return b"".join(
        _event({
            "type": "speech.audio.delta",
            "audio": base64.b64encode(audio[place : place + _LARGEST]).decode(),
        })
        for place in range(0, len(audio), _LARGEST)
    )  # fmt: skip


def done(text: str, clip: Clip) -> bytes:
    """The end. There are no tokens here: characters of the text are counted, and 50 ms of audio each."""
    asked, given = len(text), round(clip.duration * _TOKENS_PER_S)
    return _event({
        "type": "speech.audio.done",
        "usage": {"input_tokens": asked, "output_tokens": given, "total_tokens": asked + given},
        "clip": clip.id,
        "key": clip.key,
        "duration": clip.duration,
        "reused": clip.reused,
    })  # fmt: skip


def error(refused: Refused) -> bytes:
    """An end before the end."""
    return _event({"type": "error", **body(refused)})


def _event(content: Mapping[str, Any]) -> bytes:
    return b"data: " + _encode(content) + b"\n\n"
