"""Registered voices are spoken with by content, recorded by hash, and refused at once when their consent has ended."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.synth.watched import Use, Watched
from voxledger.ledger import Ledger
from voxledger.synth import ConsentEnded, InvalidRequest, NotSupported, UnknownVoice, batch
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.studio import streaming

ABLE = {"reference_voices": True, "emotion_modes": frozenset({"none", "vector", "reference", "words"}), "voices": ()}


def test_a_registered_voice_reaches_the_engine_as_a_file_of_its_content(vox: Ledger, use: Use, speech: Path) -> None:
    engine = use(Watched(**ABLE))
    registered = vox.voices.add("Änne", speech, own=True)
    clip = vox.speak("The tide is turning.", voice="änne")
    path = engine.requests[0].voice_audio
    assert path is not None
    assert registered.sha256 in path.name
    assert path.read_bytes() == speech.read_bytes()
    assert engine.requests[0].voice is None
    assert (clip.voice, clip.voice_sha256) == ("Änne", registered.sha256)
    assert vox.catalog.sql("SELECT voice, voice_sha256 FROM clips").rows() == [
        {"voice": "Änne", "voice_sha256": registered.sha256}
    ]
    assert vox.speak("The tide is turning.", voice=speech).id == clip.id  # the same content by its file


def test_the_emotion_of_a_recording_is_taken_and_recorded(vox: Ledger, use: Use, speech: Path) -> None:
    engine = use(Watched(**ABLE))
    registered = vox.voices.add("sigh", speech, own=True)
    clip = vox.speak("The tide is turning.", emotion_reference="sigh", emotion_strength=0.6)
    assert engine.requests[0].emotion_audio is not None
    assert engine.requests[0].emotion.strength == 0.6
    row = vox.catalog.sql("SELECT emotion_mode, emotion_sha256, emotion_strength, features FROM clips").rows()[0]
    assert (row["emotion_mode"], row["emotion_sha256"]) == ("reference", registered.sha256)
    assert row["emotion_strength"] == pytest.approx(0.6)
    assert "emotion_reference" in row["features"]
    assert vox.speak("The tide is turning.", emotion_reference="sigh", emotion_strength=0.3).id != clip.id


def test_an_emotion_in_words_is_recorded_sealed(vox: Ledger, use: Use) -> None:
    use(Watched(**ABLE))
    clip = vox.speak("The tide is turning.", emotion_words="as if out of breath")
    assert vox.catalog.sql("SELECT emotion_mode, emotion_words FROM clips").rows() == [
        {"emotion_mode": "words", "emotion_words": "as if out of breath"}
    ]
    assert vox.studio.rerender(clip.id).equal
    weaker = vox.speak("The tide is turning.", emotion_words="as if out of breath", emotion_strength=0.4)
    assert weaker.id != clip.id  # engines that take words take their strength as well


@pytest.mark.parametrize("asked", [{"emotion_words": "sadly"}, {"emotion_reference": "sigh"}])
def test_what_the_engine_cannot_do_is_one_clear_error(vox: Ledger, asked: dict[str, str]) -> None:
    with pytest.raises(NotSupported, match="not supported by the engine espeak"):
        vox.speak("The tide is turning.", **asked)  # type: ignore[arg-type]
    assert vox.journal.head() == 0


@pytest.mark.parametrize("asked", [{"emotion": "sad"}, {"text": "The tide is turning.\n[sad] It is late."}])
def test_weights_are_refused_before_anything_where_the_engine_takes_none(
    vox: Ledger, use: Use, asked: dict[str, str]
) -> None:
    engine = use(Watched(emotion_modes=frozenset({"none", "reference"})))
    with pytest.raises(NotSupported, match=r"an emotion as weights .* espeak: give the emotion as a recording"):
        vox.speak(**{"text": "The tide is turning.", **asked})
    assert engine.asked == []
    assert vox.journal.head() == 0
    assert vox.speak("[neutral] The tide is turning.", emotion="neutral").duration > 0


def test_an_emotion_comes_from_one_place(vox: Ledger, use: Use, speech: Path) -> None:
    use(Watched(**ABLE))
    vox.voices.add("sigh", speech, own=True)
    for more in ({"emotion_reference": "sigh"}, {"emotion_words": "in tears"}):
        with pytest.raises(InvalidRequest, match=r"one place, not from weights and (a recording|words); leave one out"):
            vox.speak("The tide is turning.", emotion="sad", **more)  # type: ignore[arg-type]
    assert vox.speak("The tide is turning.", emotion="neutral", emotion_reference="sigh").duration > 0


def test_a_mark_takes_the_place_of_a_recordings_emotion_and_of_words(vox: Ledger, use: Use, speech: Path) -> None:
    engine = use(Watched(**ABLE))
    vox.voices.add("sigh", speech, own=True)
    text = "The tide is turning.\n[sad] It is late."
    vox.speak(text, emotion_reference="sigh")
    vox.speak(text, emotion_words="in tears")
    found = [(one.emotion.mode, one.emotion_audio is not None, one.emotion_words) for one in engine.requests]
    # The marked line sounds the same whatever the request says, so that it was not spoken twice.
    assert found == [("none", True, None), ("vector", False, None), ("none", False, "in tears")]


def test_an_unknown_voice_is_one_clear_error(vox: Ledger, use: Use) -> None:
    use(Watched(**ABLE))
    with pytest.raises(UnknownVoice):
        vox.speak("The tide is turning.", voice="nobody")


def test_a_withdrawn_voice_speaks_nothing_new_and_gives_nothing_again(vox: Ledger, use: Use, speech: Path) -> None:
    engine = use(Watched(**ABLE))
    vox.voices.add("ann", speech, own=True)
    vox.speak("The tide is turning.", voice="ann")
    vox.voices.withdraw("ann", reason="changed her mind")
    for text in ("The tide is turning.", "Something new."):
        with pytest.raises(ConsentEnded):
            vox.speak(text, voice="ann")
    assert engine.asked == ["The tide is turning."]


def test_a_request_that_waits_when_consent_ends_is_not_spoken(vox: Ledger, use: Use, speech: Path) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        busy.set()
        assert go_on.wait(20)

    engine = use(Watched(hold, **ABLE, concurrency=1))
    vox.voices.add("ann", speech, own=True)
    errors: list[Exception] = []

    def queued() -> None:
        try:
            vox.speak("Behind it.", voice="ann")
        except ConsentEnded as error:
            errors.append(error)

    first = threading.Thread(target=vox.speak, args=("The tide is turning.",))
    second = threading.Thread(target=queued)
    first.start()
    assert busy.wait(20)
    second.start()
    while not vox.studio.waiting():
        second.join(0.001)
    vox.voices.withdraw("ann")
    go_on.set()
    first.join(20)
    second.join(20)
    assert len(errors) == 1
    assert engine.asked == ["The tide is turning."]
    rows = vox.catalog.sql("SELECT failure, remedy FROM generations WHERE outcome = 'failed'").rows()
    assert [row["failure"] for row in rows] == [ConsentEnded.failure_class]


def test_who_waits_for_a_clip_of_another_caller_does_not_get_it_once_consent_has_ended(
    vox: Ledger, use: Use, speech: Path
) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        busy.set()
        assert go_on.wait(20)

    engine = use(Watched(hold, **ABLE))
    vox.voices.add("ann", speech, own=True)
    ends: dict[int, str] = {}

    def asking(caller: int) -> None:
        try:
            ends[caller] = "reused" if vox.speak("The tide is turning.", voice="ann").reused else "made"
        except ConsentEnded:
            ends[caller] = "refused"

    callers = [threading.Thread(target=asking, args=(number,)) for number in range(2)]
    callers[0].start()
    assert busy.wait(20)
    callers[1].start()
    while len(vox.studio._making) < 2:
        callers[1].join(0.001)
    vox.voices.withdraw("ann")
    go_on.set()
    for caller in callers:
        caller.join(20)
    assert ends == {0: "made", 1: "refused"}  # what began while consent stood is a clip
    assert engine.asked == ["The tide is turning."]


def test_speaker_clips_of_a_manifest_are_found_by_their_content(
    vox: Ledger,
    use: Use,
    speech: Path,
    tmp_path: Path,
) -> None:
    engine = use(Watched(**ABLE))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "one.wav").write_bytes(speech.read_bytes())
    manifest = tmp_path / "lines.jsonl"
    manifest.write_text('{"text": "The tide is turning.", "prompt_audio": "one.wav", "emo_audio": "one.wav"}\n')
    options = batch.Options(voices=tmp_path / "clips")
    (refused,) = batch.run(vox.studio, manifest, options)
    assert refused.outcome == "failed"
    assert "voxledger voices add" in str(refused.error)
    vox.voices.add("ann", speech, own=True)
    (spoken,) = batch.run(vox.studio, manifest, options)
    assert spoken.clip is not None
    assert spoken.clip.voice == "ann"
    assert engine.requests[0].emotion_audio == engine.requests[0].voice_audio


def test_a_clip_of_a_registered_voice_is_rendered_again(vox: Ledger, use: Use, speech: Path) -> None:
    engine = use(Watched(**ABLE, determinism="seeded"))
    vox.voices.add("ann", speech, own=True)
    clip = vox.speak("The tide is turning.", voice="ann", emotion={"sad": 0.4})
    assert vox.studio.rerender(clip.id).equal
    assert engine.requests[0] == engine.requests[1]
    assert engine.requests[0].seed is not None  # without one asked for it is chosen, and recorded


def test_a_voice_that_is_withdrawn_is_not_even_given_from_what_was_spoken_before(
    vox: Ledger, use: Use, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_AHEAD", 1)
    engine = use(Watched(**ABLE))
    vox.voices.add("ann", speech, own=True)
    chapter = " ".join(f"Boat number {number} comes home before the storm." for number in range(20))
    vox.speak(chapter, voice="ann")
    engine.asked.clear()
    with vox.studio.stream(chapter, voice="ann", reuse=False) as stream:
        next(stream)
        vox.voices.withdraw("ann")
        with pytest.raises(ConsentEnded):
            list(stream)
    assert engine.asked == []
