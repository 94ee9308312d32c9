"""Recorded: the file of a clip, as the answer to whoever asked for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from voxledger.catalog.errors import HomeError
from voxledger.synth.formats import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from voxledger.catalog.clip import Clip

PCM_RATE = 24_000
"""Hz of raw PCM: what OpenAI's clients take it to be (https://platform.openai.com/docs/guides/text-to-speech)."""
_AT_ONCE = 1 << 18
"""Bytes of a file that are held in memory."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A clip's audio. Large files stay on the disk, open, so that nothing that removes them can break an answer off."""

    clip: Clip
    size: int
    head: bytes
    file: BinaryIO | None = None

    @classmethod
    def of(cls, clip: Clip) -> Recorded:
        """Open it; fetched from the store where it is not here. Raises StoreError and its like, AudioFailed."""
        return cls._opened(clip, clip.local())

    @classmethod
    def here(cls, clip: Clip) -> Recorded | None:
        """The same, where that takes no time; None where it has to be fetched or converted first, or cannot be read."""
        if clip.path is None or _is_converted(clip):
            return None
        try:
            return cls._opened(clip, clip.path)
        except HomeError:
            return None

    @classmethod
    def _opened(cls, clip: Clip, path: Path) -> Recorded:
        if _is_converted(clip):
            data = _converted(clip, path)
            return cls(clip=clip, size=len(data), head=data)
        try:
            # A file object would ask for what nobody needs here: with each call, another thread takes the interpreter.
            descriptor = os.open(path, os.O_RDONLY)
            try:
                size = os.fstat(descriptor).st_size
                head = os.read(descriptor, min(size, _AT_ONCE))
                file = os.fdopen(os.dup(descriptor), "rb") if len(head) < size else None
            finally:
                os.close(descriptor)
        except OSError as error:
            raise HomeError(f"clip {clip.short} could not be read here: {error.strerror}") from error
        return cls(clip=clip, size=size, head=head, file=file)

    @property
    def content_type(self) -> str:
        """MIME type."""
        return FORMATS[self.clip.format].content_type

    def blocks(self) -> Iterator[bytes]:
        """The audio, once; the file is closed at its end, or when the iterator is."""
        yield self.head
        if self.file is not None:
            with self.file:
                while block := self.file.read(_AT_ONCE):
                    yield block

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self.file is not None:
            self.file.close()


def _is_converted(clip: Clip) -> bool:
    return clip.format == "pcm" and clip.sample_rate != PCM_RATE


def _converted(clip: Clip, path: Path) -> bytes:
    import torch

    from voxledger.synth.audio import on_one_core, reading, resample

    with reading(path, format_name="pcm", sample_rate=clip.sample_rate) as file:
        samples = torch.from_numpy(file.read(dtype="float64"))
    made = on_one_core(lambda: resample(samples, clip.sample_rate, PCM_RATE)).numpy()
    return np.clip(np.round(made * 32768.0), -32768, 32767).astype("<i2").tobytes()
