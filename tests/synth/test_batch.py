"""Batch: manifests of ours and of IndexTTS become clips; bad lines are told, the others go on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import soundfile

from tests.synth.watched import Use, Watched
from voxledger.catalog import HomeError
from voxledger.ledger import Ledger
from voxledger.synth import batch, manifest
from voxledger.synth.audio.joining import Part, join
from voxledger.synth.emotion import Emotion
from voxledger.synth.errors import ManifestError
from voxledger.synth.presets import Preset

REAL = Path(__file__).parents[3] / "shared" / "data" / "indextts"
real_input = pytest.mark.skipif(not REAL.is_dir(), reason="the example manifests of IndexTTS are not here")


def _manifest(folder: Path, *lines: object) -> Path:
    path = folder / "lines.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def _run(vox: Ledger, path: Path, **options: object) -> list[batch.Spoken]:
    return list(batch.run(vox.studio, path, batch.Options(**options)))  # type: ignore[arg-type]


@real_input
def test_the_demo_cases_of_indextts_are_spoken_and_say_what_they_did_without(vox: Ledger) -> None:
    spoken = _run(vox, REAL / "cases.jsonl", degrade=True)
    assert [line.error for line in spoken if line.error] == []
    assert len(spoken) == 14
    assert {line.clip.language for line in spoken if line.clip} == {"zh", "en", "es", "ar", "ja"}
    assert all("speaker_clip" in line.dropped for line in spoken)
    assert [line.number for line in spoken if "emotion_clip" in line.dropped] == [10, 11]
    assert [line.number for line in spoken if "emotion_words" in line.dropped] == [13, 14]
    emotions = {line.number: line.clip.emotion for line in spoken if line.clip}
    assert (emotions[5], emotions[6], emotions[12]) == ("melancholic", "happy", "sad")
    rows = vox.catalog.sql("SELECT id, dropped, emotion_effective FROM clips").rows()
    recorded = {row["id"]: row for row in rows}  # some lines are spoken at once: which is ready first, nobody knows
    first, fifth = spoken[0].clip, spoken[4].clip
    assert first is not None
    assert fifth is not None
    assert recorded[first.id]["dropped"] == ["speaker_clip"]
    assert recorded[fifth.id]["emotion_effective"][5] == pytest.approx(0.64)


@real_input
def test_without_degrade_every_line_names_what_it_lacks(vox: Ledger) -> None:
    spoken = _run(vox, REAL / "cases.jsonl")
    assert {line.outcome for line in spoken} == {"failed"}
    assert "speaker clip voice_03.wav is not here" in (spoken[0].error or "")
    assert "emotion clip emo_hate.wav" in (spoken[9].error or "")
    assert "emotion in words" in (spoken[12].error or "")
    assert vox.catalog.totals()["clips"] == 0


@real_input
def test_the_batch_manifests_of_indextts_are_read_as_they_stand(vox: Ledger) -> None:
    demo = _run(vox, REAL / "batch-demo.jsonl", degrade=True)
    assert [line.outcome for line in demo] == ["made"] * 4
    assert demo[1].dropped == ("emotion_clip",)
    assert demo[1].clip is not None
    assert demo[1].clip.text == (REAL / "second.txt").read_text(encoding="utf-8").strip()
    assert [line.clip.name for line in demo if line.clip] == ["001", "002", "003", "004"]
    asked = vox.catalog.sql("SELECT emotion_strength FROM clips WHERE name = '004'").rows()[0]
    assert asked["emotion_strength"] == pytest.approx(0.4)
    concat = _run(vox, REAL / "batch-concat.jsonl")
    assert [line.silence_after for line in concat] == [0.3, 0.5, 0.0]


def test_a_bad_line_is_one_error_and_the_others_go_on(vox: Ledger, tmp_path: Path) -> None:
    path = _manifest(
        tmp_path,
        {"text": "First."},
        "{not json}",
        "[1, 2]",
        {"txt": "typo"},
        {"text": ""},
        {"text": "x", "text_file": "y"},
        {"text_file": "missing.txt"},
        {"text": "Bad.", "emotion": {"sad": 9}},
        {"text": "Bad.", "output": "../../etc/passwd"},
        {"text": "Bad.", "emo_mode": 2},
        {"text": "Bad.", "emo_mode": 7},
        {"text": "Bad.", "language": "xx"},
        {"text": "Bad.", "seed": 1.5},
        {"text": "Bad.", "silence_after_ms": -1},
        {"text": "Bad.", "tags": [1]},
        "",
        {"text": "Last."},
    )
    spoken = _run(vox, path)
    assert [line.number for line in spoken] == [*range(1, 16), 17]
    assert [line.number for line in spoken if line.outcome == "made"] == [1, 17]
    errors = {line.number: line.error or "" for line in spoken if line.error}
    for number, message in {
        2: "not JSON", 3: "JSON object", 4: "did you mean 'text", 5: "empty", 6: "either text or text_file", 7: "missing.txt",
        8: "between 0 and 1", 9: "does not climb", 10: "needs emo_vec_1", 11: "emo_mode must be", 12: "no voice for the language",
        13: "seed", 14: "silence_after_ms", 15: "tags",
    }.items():  # fmt: skip
        assert message in errors[number]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x", "seed": ' + "1" * 5000 + "}", "not usable JSON"),
        ('{"text": "x", "take": 1' + "0" * 400 + "}", "take must be a whole number"),
        ('{"text": "x", "emotion": {"happy": 1' + "0" * 400 + "}}", "between 0 and 1"),
        ('{"text": "x", "voice": "\\ud800"}', "surrogate"),
        ('{"text_file": "../../etc/passwd"}', "does not climb"),
        ('{"text_file": "/etc/passwd"}', "does not climb"),
        ('{"text": "x", "emotion_vector": "0,0,0"}', "8 weights"),
        ('{"text": "x", "marks": "no"}', "marks must be true or false"),
        ('{"text": "x", "sampling": [1]}', "sampling must be an object"),
        ('{"text": "x", "output": "\\ud800.wav"}', "surrogate"),
        ('{"text": "x", "output": "' + "目" * 100 + '.wav"}', "cannot be a file"),
        ("[" * 100_000, "nested|usable|JSON"),
        ('{"text": "x", "silence_after_ms": 1e999}', "out of bounds|this world"),
    ],
)
def test_a_line_from_hell_is_one_error_and_the_others_go_on(
    vox: Ledger, tmp_path: Path, line: str, message: str
) -> None:
    spoken = _run(vox, _manifest(tmp_path, {"text": "Before."}, line, {"text": "After."}), out=tmp_path / "out")
    assert [each.outcome for each in spoken] == ["made", "failed", "made"]
    assert re.search(message, spoken[1].error or "")


def test_a_large_seed_is_recorded_as_it_stands(vox: Ledger, use: Use, tmp_path: Path) -> None:
    use(Watched(determinism="seeded"))
    _run(vox, _manifest(tmp_path, {"text": "Seeded.", "seed": 9007199254740993}, {"text": "Most.", "seed": 2**63 - 1}))
    rows = vox.catalog.sql("SELECT seed FROM clips ORDER BY seed").rows()
    assert [row["seed"] for row in rows] == [9007199254740993, 2**63 - 1]


def test_a_seed_that_the_engine_does_not_take_is_one_of_the_things_to_do_without(
    vox: Ledger, use: Use, tmp_path: Path
) -> None:
    use(Watched(determinism="none"))
    path = _manifest(tmp_path, {"text": "Seeded.", "seed": 7})
    (refused,) = _run(vox, path)
    assert "engine espeak takes no seed (--degrade speaks the line without)" in (refused.error or "")
    (spoken,) = _run(vox, path, degrade=True)
    assert (spoken.outcome, spoken.dropped) == ("made", ("seed",))


def test_a_clip_that_did_without_is_another_clip(vox: Ledger, tmp_path: Path) -> None:
    line = {"text": "Both ways.", "emo_audio": "sad.wav"}
    plain = _run(vox, _manifest(tmp_path, {"text": "Both ways."}))[0].clip
    without = _run(vox, _manifest(tmp_path, line), degrade=True)[0].clip
    assert plain is not None
    assert without is not None
    assert (plain.dropped, without.dropped) == ((), ("emotion_clip",))


def test_a_second_run_makes_nothing_twice_and_counts_no_use(vox: Ledger, tmp_path: Path) -> None:
    path = _manifest(tmp_path, *({"text": f"Line {number}."} for number in range(20)))
    runs = batch.run(vox.studio, path, batch.Options())
    first = [next(runs) for _ in range(3)]
    runs.close()  # some of the lines after these were begun
    second = _run(vox, path)
    outcomes = [line.outcome for line in second]
    assert outcomes[:3] == ["there"] * 3
    assert outcomes[-1] == "made"
    assert [line.clip.id for line in first if line.clip] == [line.clip.id for line in second[:3] if line.clip]
    counts = "SELECT outcome, count(*) AS n FROM generations WHERE outcome <> 'cancelled' GROUP BY 1"
    assert vox.catalog.sql(counts).rows() == [{"outcome": "completed", "n": 20}]


def test_lines_become_one_file_with_their_silences(vox: Ledger, tmp_path: Path) -> None:
    path = _manifest(
        tmp_path,
        {"text": "One.", "silence_after_ms": 300},
        {"text": "Two.", "format": "opus"},
        {"text": "Three.", "format": "pcm"},
    )
    spoken = _run(vox, path)
    target = tmp_path / "joined.flac"
    clips = [(line.clip, line.silence_after) for line in spoken if line.clip]
    seconds = join((Part(clip.local(), silence, clip.sample_rate) for clip, silence in clips), target)
    assert seconds == pytest.approx(sum(line.clip.duration for line in spoken if line.clip) + 0.3, abs=0.05)
    samples, rate = soundfile.read(target)
    first = spoken[0].clip
    assert first is not None
    begin = round(first.duration * rate)
    assert not samples[begin : begin + round(0.3 * rate)].any()
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith(".")] == []


def test_a_copy_lies_where_the_line_asks_for_it(vox: Ledger, tmp_path: Path) -> None:
    path = _manifest(tmp_path, {"text": "One.", "output": "out/001.flac"}, {"text": "Two."})
    spoken = _run(vox, path, out=tmp_path / "copies")
    assert spoken[0].clip is not None
    assert spoken[0].clip.format == "flac"
    assert (tmp_path / "copies/out/001.flac").read_bytes() == spoken[0].clip.local().read_bytes()
    assert len(list((tmp_path / "copies").glob("00002-*.wav"))) == 1


def test_lines_do_not_write_over_each_others_copies(vox: Ledger, tmp_path: Path) -> None:
    lines = [
        {"text": f"Line number {number}.", "output": name} for number, name in enumerate(("a.wav", "b.wav", "A.wav"))
    ]
    manifest_ = _manifest(tmp_path, *lines)
    for outcome in ("made", "there"):
        spoken = _run(vox, manifest_, out=tmp_path / "out")
        assert [line.outcome for line in spoken] == [outcome, outcome, "failed"]
        assert "output A.wav is that of line 1 too" in (spoken[2].error or "")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "b.wav"]


def test_lines_name_presets_speed_and_marks(vox: Ledger, tmp_path: Path) -> None:
    vox.studio.presets.add(Preset(name="teller", emotion=Emotion.of("sad=0.5"), voice="f2"))
    spoken = _run(
        vox,
        _manifest(
            tmp_path,
            {"text": "The tide is turning.", "preset": "teller", "speed": 0.8},
            {"text": "The tide is turning.", "preset": "teller", "emotion": "happy"},
            {"text": "The tide is turning.", "emo_mode": 0, "preset": "teller"},
            {"text": "[sad] The tide is turning.", "marks": False},
            {"text": "The tide is turning.", "preset": "nobody"},
            {"text": "The tide is turning.", "speed": 9},
            {"text": "The tide is turning."},
        ),
        voice="m3",
    )
    clips = [line.clip for line in spoken]
    assert [line.outcome for line in spoken] == ["made"] * 4 + ["failed"] * 2 + ["made"]
    told = [(clip.emotion, clip.voice) for clip in clips if clip]
    assert told == [("sad", "f2"), ("happy", "f2"), ("neutral", "f2"), ("neutral", "m3"), ("neutral", "m3")]
    seconds = [clip.duration if clip else 0.0 for clip in clips]
    assert seconds[0] > 1.1 * seconds[6]
    assert seconds[3] > seconds[6]  # the mark is spoken
    assert "nobody" in (spoken[4].error or "")
    assert "speed" in (spoken[5].error or "")


def test_a_strength_alone_scales_the_emotion_of_the_preset(vox: Ledger, tmp_path: Path) -> None:
    vox.studio.presets.add(Preset(name="teller", emotion=Emotion.of("sad=0.5")))
    lines = [
        {"text": "The tide is turning.", "preset": "teller", "emotion_strength": 0.5},
        {"text": "The tide is turning.", "emotion_strength": 0.5},
    ]
    scaled, alone = _run(vox, _manifest(tmp_path, *lines))
    assert scaled.clip is not None
    spoken = vox.speak("The tide is turning.", preset="teller", emotion_strength=0.5, session="lines")
    assert (scaled.clip.emotion, spoken.id) == ("sad", scaled.clip.id)
    assert "nothing to scale" in (alone.error or "")


def test_a_copy_that_cannot_be_finished_leaves_no_half_file(
    vox: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batch.shutil, "copyfile", full)
    with pytest.raises(HomeError, match="the clip itself is recorded"):
        _run(vox, _manifest(tmp_path, {"text": "One."}), out=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "One."}\r\n\r\n{"text": "Two."}\r\n')
    assert [line.text for line in manifest.read(path) if not isinstance(line, ManifestError)] == ["One.", "Two."]
    assert manifest.count(path) == 2


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nothing\.jsonl cannot be read"):
        manifest.count(tmp_path / "nothing.jsonl")


def test_a_line_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"text": "Käse"}\n'.encode("latin-1"))
    found = list(manifest.read(path))
    assert isinstance(found[0], ManifestError)
    assert "not UTF-8" in str(found[0])
