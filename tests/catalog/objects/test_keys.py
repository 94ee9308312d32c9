"""Keys: safe as a path, unique, readable."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.s3 import S3Server
from voxledger.catalog.errors import SettingsError
from voxledger.catalog.events import new_id
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store, object_key, record_key

TEMPLATE = "{actor}/{session}/{name}-{clip}.{ext}"
CLIP = "0198f1c2-7d3e-7abc-8def-0123456789ab"
nasty = st.text(max_size=400) | st.text(alphabet="./\\ ~-_:\0\n\u202e\u0301中e", max_size=400)
templates = st.sampled_from([
    TEMPLATE, "{clip}", "{clip}{name}", "{name}{name}{name}{clip}{session}", "a/../{actor}/{clip}.{ext}", "/{name}//{clip}/",
    "{actor}={name}{clip}.{ext}",
])  # fmt: skip


def key(**changes: str) -> str:
    parts = {"actor": "ann", "session": "demo", "name": "tide", "clip": CLIP, "ext": "wav", **changes}
    return object_key(parts.pop("template", TEMPLATE), **parts)


@given(template=templates, actor=nasty, session=nasty, name=nasty, ext=nasty)
@example(template=TEMPLATE, actor="..", session="con", name="NUL", ext="")
@example(template=TEMPLATE, actor="語" * 300, session="🎙️" * 200, name="e\u0301" * 400, ext="WAV")
def test_key_is_a_safe_path_whatever_goes_in(template: str, actor: str, session: str, name: str, ext: str) -> None:
    made = key(template=template, actor=actor, session=session, name=name, ext=ext)
    assert CLIP in made
    assert len(record_key(made).encode()) <= 1024
    assert unicodedata.is_normalized("NFC", made)
    segments = made.split("/")
    assert all(segments)
    for segment in segments:
        assert len(record_key(segment).encode()) <= 255
        assert segment[0] not in ".- "
        assert segment[-1] not in ". "
        assert not set(segment) & set('<>:"\\|?*')
        assert not any(unicodedata.category(letter) in ("Cc", "Cs") or letter.isspace() for letter in segment)
        assert segment.partition(".")[0].upper() not in ("CON", "NUL", "PRN", "AUX", "COM1", "LPT1")
    assert str(Path("/root") / made).startswith("/root/")
    assert Path(made).as_posix() == made


@given(first=nasty, second=nasty)
def test_two_clips_never_share_a_key_however_case_is_read(first: str, second: str) -> None:
    one, two = new_id(), new_id()
    assert key(name=first, clip=one).casefold() != key(name=second, clip=two).casefold()


def test_letters_of_any_script_stay_readable() -> None:
    assert key(actor="王小明", session="会议", name="Grüße, мир") == f"王小明/会议/Grüße,_мир-{CLIP}.wav"


def test_empty_parts_have_stated_defaults() -> None:
    assert key(actor="", session="..", name="///", ext="") == f"anyone/default/clip-{CLIP}.bin"
    assert (
        object_key(TEMPLATE, actor="a", session=None, name=None, clip=CLIP, ext=".ogg") == f"a/default/clip-{CLIP}.ogg"
    )


def test_equal_names_in_other_normal_forms_give_one_key() -> None:
    assert key(name="e\u0301te\u0301") == key(name="été")


@pytest.mark.parametrize(
    "template", ["{name}.{ext}", "{clip:.8}", "{clip.nothing}", "{other}-{clip}", "x" * 1100 + "{clip}"]
)
def test_template_that_gives_no_key_is_refused_by_name(template: str) -> None:
    with pytest.raises(SettingsError) as refused:
        key(template=template)
    assert refused.value.name == "store.key"


def test_malformed_clip_id_is_refused() -> None:
    with pytest.raises(ValueError, match="no clip id"):
        key(clip="../x")


@pytest.mark.every_server
def test_stores_give_back_the_very_keys(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    store = Store(Home.open(tmp_path), s3.settings())
    names = ["Grüße", "会议", "a‛b␀c／d", "~x!'()&$@=;+,", "🎙️ 1", "-rf", "100%", "#1?", "n" * 500, "語" * 300]
    made = {key(actor=name, session=name, name=name, clip=new_id()) for name in names}
    for each in made:
        store.put(bucket, each, each.encode())
        store.put(bucket, record_key(each), b"{}")
    assert {found.key for found in store.list(bucket)} == made | {record_key(each) for each in made}
    assert all(store.get(bucket, each) == each.encode() for each in made)
