"""The studio: where clips are asked for, made in turns, streamed, recorded once and made again."""

from voxledger.synth.studio.audience import Audience, Chunk
from voxledger.synth.studio.options import SpeakOptions
from voxledger.synth.studio.request import SpeakRequest
from voxledger.synth.studio.rerender import Rerendered
from voxledger.synth.studio.streaming import Stream
from voxledger.synth.studio.studio import Studio

__all__ = ["Audience", "Chunk", "Rerendered", "SpeakOptions", "SpeakRequest", "Stream", "Studio"]
