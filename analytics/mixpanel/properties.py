"""Properties: of which type each one is that Mixpanel sees, and what it means. The Lexicon is made of this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from voxledger.catalog.events import EMOTIONS


class Property(NamedTuple):
    """One property, in the words of JSON Schema."""

    type: Literal["array", "boolean", "integer", "number", "string"]
    text: str


def _seconds(text: str) -> Property:
    return Property("number", f"{text}, in seconds.")


ALWAYS: Mapping[str, Property] = {
    "event_version": Property("integer", "Version of the event's form in Voxledger."),
    "node": Property("string", "Opaque id of the Voxledger installation; also the group `node`."),
}
"""What every event has."""
CLIP = Property("string", "Opaque id of the clip it is about.")
ACTOR = Property(
    "string",
    "Opaque id of who had it done, where the event belongs to no user: batch jobs, and what Voxledger did itself.",
)
EVENT: Mapping[str, Property] = {
    "attempts": Property("integer", "How often it was tried."),
    "bytes": Property("integer", "Size of the audio file in bytes."),
    "channel": Property("string", "Door it came through: python, cli, api, web or batch."),
    "channels": Property("integer", "Audio channels: 1 or 2."),
    "cloned_voice": Property("boolean", "Whether a recording was spoken with, rather than a voice of the engine."),
    "closed": Property("boolean", "Whether the week was over."),
    "device": Property("string", "Device it ran on."),
    "emotion": Property("string", "Dominant emotion, or neutral."),
    "emotion_mode": Property("string", "How the emotion was asked for: none, vector, reference or words."),
    "emotion_strength": Property("number", "How strong the emotion was asked for, 0 to 1."),
    "engine": Property("string", "Engine that was asked."),
    "engine_version": Property("string", "Version of the engine."),
    "failure": Property("string", "Class of the failure."),
    "features": Property("array", "Features of Voxledger that the request used."),
    "format": Property("string", "Format of the file: wav, flac, opus, mp3, aac or pcm."),
    "language": Property("string", "Language as a BCP 47 tag."),
    "language_detected": Property("boolean", "Whether the language was recognized rather than given."),
    "loudness_lufs": Property("number", "Integrated loudness (ITU-R BS.1770-4) in LUFS."),
    "model": Property("string", "Model of the engine."),
    "purpose": Property("string", "What a clip was used for: play, fetch or link."),
    "reason": Property("string", "Why the mark was taken back."),
    "revision": Property("integer", "How often the week's report had been written."),
    "sample_rate": Property("integer", "Samples a second (Hz)."),
    "segments": Property("integer", "Stretches of speech that the engine gave."),
    "segments_cached": Property("integer", "Of these, how many were there already."),
    "silence_share": Property("number", "Share of the audio that is silent, 0 to 1."),
    "speech_rate": Property("number", "Letters and digits of the text for each second that is not silent."),
    "stage": Property("string", "Where it failed."),
    "streamed": Property("boolean", "Whether it was heard while it was made."),
    "suspect": Property("array", "Why the audio is doubted; empty = nothing found."),
    "take": Property("integer", "Number of the take."),
    "text_length": Property("integer", "Characters of the text. The text itself is never sent."),
    "true_peak_dbtp": Property("number", "True peak before encoding in dBTP."),
    "week": Property("string", "ISO week, such as 2026-W47."),
    "audio_s": _seconds("Time of the audio chain"),
    "delivered_s": _seconds("Audio that was handed over before the end"),
    "duration_s": _seconds("Length of the audio"),
    "elapsed_s": _seconds("From the engine's queue to the end"),
    "encode_s": _seconds("Encoding and writing"),
    "first_s": _seconds("From the engine's start to its first sound"),
    "load_s": _seconds("Loading the model"),
    "queue_s": _seconds("Waiting for the engine"),
    "saved_s": _seconds("Engine time that the reuse saved"),
    "synthesis_s": _seconds("The engine's own time"),
    "transfer_s": _seconds("Time of the upload"),
    "waited_s": _seconds("Time between the clip and its upload"),
    **{
        f"emotion_{name}": Property("number", f"Weight of the emotion {name} that was applied, 0 to 1.")
        for name in EMOTIONS
    },
}
"""What comes of an event's fields."""
PROFILE: Mapping[str, Property] = {
    "audio_hours": Property("number", "Hours of audio generated so far."),
    "clips": Property("integer", "Clips generated so far."),
    "clips_reused": Property("integer", "Requests that were answered by a clip that was there already."),
    "favourite_emotion": Property("string", "Emotion of most of the clips."),
    "favourite_engine": Property("string", "Engine of most of the clips."),
    "favourite_language": Property("string", "Language of most of the clips."),
    "favourite_voice": Property("string", "cloned or built-in, whichever was used more. Which voice is not told."),
    "first_seen": Property("string", "When the first thing was done, in UTC."),
    "generations_failed": Property("integer", "Attempts that failed."),
    "last_seen": Property("string", "When the latest thing was done, in UTC."),
    "node": Property("string", "Opaque id of the Voxledger installation that counted."),
    "uses": Property("integer", "How often clips were played, fetched or linked."),
}
"""What a user profile has."""
