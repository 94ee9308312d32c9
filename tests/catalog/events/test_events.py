"""Events: the envelope, what is sealed, and what is refused."""

from __future__ import annotations

import inspect
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.building import Parts, completed
from voxledger.catalog import EventRejected, VaultError
from voxledger.catalog.events import (
    REGISTRY,
    ClipPinned,
    ClipTagged,
    Event,
    decode,
    encode,
    new_id,
    personal_fields,
    split,
)
from voxledger.catalog.vault import Vault

_SECRETS = {
    "actor_label", "session", "name", "key", "path", "text", "voice_name", "tags", "emotion_words", "timing",
}  # fmt: skip


def test_what_is_personal_never_stands_in_data() -> None:
    data, sealed = split(completed())
    assert sealed is not None
    assert set(msgspec.json.decode(sealed)) == _SECRETS
    assert not _SECRETS & set(msgspec.json.decode(data))


def test_every_event_type_says_in_its_docstring_what_happened() -> None:
    assert all((inspect.getdoc(kind) or "").endswith(".") for kind in REGISTRY.values())


def test_labels_names_keys_and_texts_are_sealed_in_all_event_types() -> None:
    for kind in REGISTRY.values():
        personal = personal_fields(kind)
        for name in kind.__struct_fields__:
            if name in {"actor_label", "text", "name", "key", "path", "session", "voice_name", "tag", "tags"}:
                assert name in personal, f"{kind.__name__}.{name}"


@given(
    st.builds(
        Event,
        id=st.uuids().map(str),
        source=st.text(max_size=20),
        type=st.sampled_from(sorted(REGISTRY)),
        subject=st.text(max_size=20),
        time=st.datetimes(timezones=st.just(UTC)),
        position=st.integers(1, 2**53),
        recorded=st.datetimes(timezones=st.just(UTC)),
        actor=st.uuids().map(str),
        version=st.integers(1, 9),
        data=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9)).map(
            lambda value: msgspec.Raw(msgspec.json.encode(value))
        ),
        sealed=st.none() | st.binary(max_size=40),
    )
)
def test_an_event_survives_its_acknowledged_bytes(event: Event) -> None:
    assert encode(decode(encode(event))) == encode(event)


def test_bytes_that_are_no_event_are_refused() -> None:
    with pytest.raises(EventRejected, match="not an event"):
        decode(b'{"id": 3}')


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (datetime(2026, 1, 1), "no time zone"),  # noqa: DTZ001  # the naive time is the point
        (datetime(1970, 1, 1, tzinfo=UTC), "outside 2000"),
        (datetime(2100, 1, 1, tzinfo=UTC), "outside 2000"),
        (datetime.now(UTC) + timedelta(hours=2), "an hour ahead"),
    ],
)
def test_a_time_that_cannot_be_is_refused(parts: Parts, time: datetime, message: str) -> None:
    with pytest.raises(EventRejected, match=message):
        parts.record(ClipTagged(tag="x"), new_id(), time=time)
    assert parts.journal.head() == 0


def test_a_number_that_is_none_is_refused(parts: Parts) -> None:
    with pytest.raises(EventRejected, match="true_peak_dbtp is nan") as caught:
        parts.record(completed(true_peak_dbtp=math.nan), new_id())
    assert caught.value.field == "true_peak_dbtp"
    assert parts.journal.head() == 0


def test_an_event_of_ten_megabytes_is_refused(parts: Parts) -> None:
    with pytest.raises(EventRejected, match="more than an event may have"):
        parts.record(ClipPinned(reason="x" * 10_000_000), new_id())
    assert parts.journal.head() == 0


def test_text_that_is_not_unicode_is_refused(parts: Parts) -> None:
    with pytest.raises(EventRejected, match="not valid Unicode"):
        parts.record(ClipTagged(tag="\ud800"), new_id())


def test_a_sealed_part_opens_only_with_its_key_and_its_event(parts: Parts, tmp_path: Path) -> None:
    event = parts.record(completed(), new_id())
    assert event.sealed is not None
    assert parts.recorder.unsealed(event) == msgspec.json.decode(split(completed())[1] or b"")
    assert b"tide" not in encode(event)
    with pytest.raises(VaultError):
        parts.vault.actor("bob").open(event.sealed, about=event.id)
    with pytest.raises(VaultError):
        parts.vault.actor("ann").open(event.sealed, about=new_id())
    stranger = Vault(tmp_path / "other.sqlite")
    assert stranger.key(event.actor) is None
    stranger.close()


def test_the_vault_is_readable_by_its_owner_only(parts: Parts) -> None:
    assert parts.home.vault.stat().st_mode & 0o777 == 0o600
    assert parts.home.path.stat().st_mode & 0o077 == 0


def test_keys_never_show_in_a_representation(parts: Parts) -> None:
    key = parts.vault.actor("ann")
    assert repr(key.key) not in repr(key)
