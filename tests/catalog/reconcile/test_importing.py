"""Sound files of a folder become clips: once each, copied, recorded and uploaded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.catalog.reconcile.worlds import World, sound
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import decode_fact
from voxledger.catalog.reconcile import Measures, import_folder
from voxledger.catalog.search import SearchIndex


def outputs(folder: Path, count: int = 3) -> Path:
    """What IndexTTS leaves behind, and what else lies about."""
    root = folder / "outputs"
    (root / "tasks").mkdir(parents=True)
    for number in range(count):
        path = root / ("tasks" if number == 1 else "") / f"spk_17323542{number:02}.wav"
        path.write_bytes(sound(100 + number))
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    (root / "notes.txt").write_text("no sound")
    return root


def test_a_folder_becomes_clips_that_reach_the_store(world: World, tmp_path: Path) -> None:
    root = outputs(tmp_path)
    found = import_folder(world.around, root, tags=["old"])
    assert (found.found, found.taken, found.refused, found.duration_us) == (3, 3, 0, 3 * 83_333)
    world.upload()
    rows = world.parts.rows("SELECT * FROM clips ORDER BY created")
    assert [row["name"] for row in rows] == ["spk_1732354200", "spk_1732354201", "spk_1732354202"]
    for number, row in enumerate(rows):
        assert (row["session"], row["actor"], row["state"], row["adopted"], row["engine"]) == (
            "outputs", "ann", "stored", "folder", None,
        )  # fmt: skip
        assert (row["format"], row["sample_rate"], row["channels"], row["tags"]) == ("wav", 24_000, 1, ["old"])
        assert row["created"].timestamp() == 1_700_000_000 + number
        assert world.store.get(world.bucket, row["key"]) == sound(100 + number)
        assert row["sha256"] == hashlib.sha256(sound(100 + number)).hexdigest()
    # They are no generations, and found by their names.
    assert world.parts.rows("FROM generations") == []
    assert SearchIndex(world.parts.keeper).search("spk_1732354201").matches == 1
    assert sorted(path.name for path in root.rglob("*.wav")) == [row["name"] + ".wav" for row in rows]
    assert world.reconcile().open == 0


def test_the_same_audio_is_taken_once(plain: World, tmp_path: Path) -> None:
    root = outputs(tmp_path)
    (root / "copy.wav").write_bytes(sound(100))
    first, second = import_folder(plain.around, root), import_folder(plain.around, root)
    assert (first.taken, first.known) == (3, 1)
    assert (second.taken, second.known, second.found) == (0, 4, 4)
    assert len(plain.events("AudioAdopted")) == 3


def test_what_is_a_clip_already_is_not_taken(plain: World, tmp_path: Path) -> None:
    plain.make()
    root = outputs(tmp_path, 0)
    (root / "ours.wav").write_bytes(sound())
    assert (import_folder(plain.around, root).known, plain.events("AudioAdopted")) == (1, [])


def test_audio_that_was_purged_is_not_brought_back(plain: World, tmp_path: Path) -> None:
    root = outputs(tmp_path, 2)
    import_folder(plain.around, root)
    gone = plain.parts.rows("SELECT id::VARCHAR AS id FROM clips")[0]["id"]
    plain.purge([gone])
    found = import_folder(plain.around, root)
    assert (found.taken, found.gone, found.known) == (0, 1, 1)


def test_what_cannot_be_read_is_told_and_the_rest_is_taken(plain: World, tmp_path: Path) -> None:
    root = outputs(tmp_path)
    (root / "bad.wav").write_bytes(b"this is no sound at all")
    (root / "empty.mp3").touch()
    (root / "link.wav").symlink_to("/etc/passwd")
    (root / ".hidden.wav").write_bytes(sound(7))
    found = import_folder(plain.around, root)
    assert (found.found, found.taken, found.refused) == (5, 3, 2)
    assert {Path(note.what).name: note.why for note in found.notes} == {
        "bad.wav": "it is no WAV, FLAC, Ogg or MP3", "empty.mp3": "it is empty",
    }  # fmt: skip
    assert not (plain.parts.home.path / "reconcile").exists()
    assert sum(1 for path in plain.parts.home.cache.rglob("*") if path.is_file()) == 3


def test_measures_are_recorded_where_they_can_be_taken(plain: World, tmp_path: Path) -> None:
    root = outputs(tmp_path, 2)
    taken = [Measures(loudness_lufs=-20.5, true_peak_dbtp=-3.0, silence_share=0.25), None]
    import_folder(plain.around, root, measure=lambda path: taken.pop())
    rows = plain.parts.rows("SELECT loudness_lufs, true_peak_dbtp, silence_share FROM clips")
    assert sorted(map(str, rows)) == sorted(
        map(
            str,
            [
                {"loudness_lufs": -20.5, "true_peak_dbtp": -3.0, "silence_share": 0.25},
                {"loudness_lufs": None, "true_peak_dbtp": None, "silence_share": None},
            ],
        )
    )


def test_names_stay_sealed(plain: World, tmp_path: Path) -> None:
    root = outputs(tmp_path, 0)
    (root / "Änne sings.wav").write_bytes(sound(7))
    import_folder(plain.around, root, session="Änne")
    (event,) = plain.events("AudioAdopted")
    assert "Änne" not in bytes(event.data).decode()
    fact = decode_fact(event, plain.personal(event))
    assert getattr(fact, "origin", None) == "outputs/Änne sings.wav"


@pytest.mark.parametrize("name", ["nowhere", "file.wav"])
def test_what_is_no_folder_is_refused(plain: World, tmp_path: Path, name: str) -> None:
    (tmp_path / "file.wav").write_bytes(sound())
    with pytest.raises(VoxledgerError, match="is not a folder"):
        import_folder(plain.around, tmp_path / name)


def test_a_home_is_not_imported_into_itself(plain: World) -> None:
    with pytest.raises(VoxledgerError, match="lies in this HOME"):
        import_folder(plain.around, plain.parts.home.cache)
