"""CloudEvents 1.0: what we write is one, and what is none is refused by the attribute that breaks the rule.

Rules are those of https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and formats/json-format.md.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from tests.building import Parts, completed
from tests.catalog.events.examples import EXAMPLES, facts, subject_of
from voxledger.catalog import EventRejected
from voxledger.catalog.events import (
    ClipPinned,
    ClipRated,
    Event,
    Fact,
    ReportPublished,
    from_cloudevent,
    new_id,
    personal_fields,
    split,
    to_cloudevent,
)
from voxledger.catalog.events.cloudevent_files import entries, written

CLIP = "01936f2e-7c1a-7d53-9b0e-5b1f8f3a91c2"


def event_of(fact: Fact, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": new_id(), "source": "voxledger:node/epoch", "type": type(fact).__name__, "subject": subject_of(type(fact)),
        "time": datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "position": 2**40, "recorded": datetime(2026, 11, 23, 9, 31, tzinfo=UTC),
        "actor": new_id(), "version": fact.version, "data": msgspec.Raw(split(fact)[0]),
        "sealed": b"\x00\xff" * 9 if personal_fields(type(fact)) else None,
    }  # fmt: skip
    return Event(**(values | changes))


def foreign(**changes: Any) -> bytes:
    """A CloudEvent of somebody else's, as in the specification; None removes an attribute."""
    values = {
        "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext", "subject": "s", "id": "C234-1234-1234",
        "time": "2018-04-05T17:31:00Z", "comexampleextension1": "value", "comexampleothervalue": 5,
        "datacontenttype": "application/json", "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
    } | changes  # fmt: skip
    return json.dumps({name: value for name, value in values.items() if value is not None}).encode()


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_the_official_reader_understands_what_we_write(fact: Fact) -> None:
    event = event_of(fact)
    body = to_cloudevent(event)
    read = JSONFormat().read(CloudEvent, body)
    assert read.get_specversion() == "1.0"
    assert (read.get_id(), read.get_source(), read.get_type()) == (event.id, event.source, event.type)
    assert (read.get_subject(), read.get_time()) == (event.subject, event.time)
    assert read.get_datacontenttype() == "application/json"
    assert read.get_extension("position") == str(event.position)
    assert read.get_extension("dataversion") == event.version
    assert read.get_data() == msgspec.json.decode(event.data)
    assert b"\n" not in body
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in json.loads(body))


def test_what_the_official_writer_makes_is_read() -> None:
    attributes = {
        "id": "A-1", "source": "https://example.com/x", "type": "com.example.sung", "specversion": "1.0",
        "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "datacontenttype": "application/json", "singer": "Änne",
    }  # fmt: skip
    draft = from_cloudevent(JSONFormat().write(CloudEvent(attributes, {"key": ["C", 4]})), actor="somebody")
    assert (draft.type, draft.version, draft.actor, draft.sealed) == ("com.example.sung", 1, "somebody", None)
    assert draft.time == attributes["time"]
    assert draft.data == b'{"key":["C",4]}'


@given(facts(), st.datetimes(datetime(2000, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_an_event_survives_the_way_out_and_in(fact: Fact, time: datetime) -> None:
    event = event_of(fact, time=time)
    draft = from_cloudevent(to_cloudevent(event))
    for name in ("id", "type", "subject", "time", "actor", "version", "sealed"):
        assert getattr(draft, name) == getattr(event, name), name
    assert draft.data == bytes(event.data)


def test_what_has_no_subject_and_nothing_sealed_has_no_such_attribute() -> None:
    body = to_cloudevent(event_of(ClipRated(rating=3), subject="", actor=""))
    assert not {"subject", "sealed", "actor"} & set(json.loads(body))


def test_an_event_of_another_type_is_taken_over() -> None:
    draft = from_cloudevent(foreign(), actor="importer")
    assert draft.id == str(uuid.uuid5(uuid.NAMESPACE_URL, "/mycontext\nC234-1234-1234"))
    assert (draft.subject, draft.version, draft.actor) == ("s", 1, "importer")
    assert draft.data == b'{"appinfoA":"abc","appinfoB":123,"appinfoC":true}'
    assert from_cloudevent(foreign(id=CLIP.upper())).id == CLIP
    assert from_cloudevent(foreign(source="/other")).id != draft.id


def test_what_may_be_left_out_may_be_left_out() -> None:
    draft = from_cloudevent(foreign(subject=None, time=None, datacontenttype=None, data=None))
    assert (draft.subject, draft.data) == ("", b"{}")
    assert abs((draft.time - datetime.now(UTC)).total_seconds()) < 60
    assert from_cloudevent(foreign().replace(b'"subject": "s"', b'"subject": null')).subject == ""
    assert from_cloudevent(foreign(data=[1, 2.5])).data == b"[1,2.5]"


def test_a_newer_version_of_a_known_type_is_taken_over_unread() -> None:
    draft = from_cloudevent(foreign(type="ClipRated", dataversion=7, data={"stars": 9}))
    assert (draft.type, draft.version, draft.data) == ("ClipRated", 7, b'{"stars":9}')


def test_an_old_version_is_taken_over_as_it_is() -> None:
    old = {"week": "2026-W46", "revision": 2, "closed": True, "through": 900}
    draft = from_cloudevent(foreign(type="ReportPublished", subject="2026-W46", dataversion=1, data=old))
    assert (draft.version, json.loads(draft.data)) == (1, old)


def test_a_name_is_not_taken_over_as_an_opaque_actor() -> None:
    assert from_cloudevent(foreign(actor="ann@example.com"), actor="importer").actor == "importer"


@pytest.mark.parametrize(
    ("body", "attribute", "message"),
    [
        (foreign(specversion="0.3"), "specversion", '"0.3" is not "1.0"'),
        (foreign(specversion=None), "specversion", "is missing"),
        (foreign(specversion=1.0), "specversion", '1.0 is not "1.0"'),
        (foreign(id=None), "id", "is missing"),
        (foreign(source=None), "source", "is missing"),
        (foreign(type=None), "type", "is missing"),
        (foreign(id=""), "id", "not empty"),
        (foreign(id=7), "id", "not empty"),
        (foreign(type=""), "type", "not empty"),
        (foreign(source="two words"), "source", "space"),
        (foreign(subject=""), "subject", "not empty"),
        (foreign(time="2018-04-05T17:31:00"), "time", "RFC 3339"),
        (foreign(time="2018-04-05 17:31:00Z"), "time", "RFC 3339"),
        (foreign(time="yesterday"), "time", "RFC 3339"),
        (foreign(time="2018-13-05T17:31:00Z"), "time", "RFC 3339"),
        (foreign(time="0001-01-01T00:00:00+05:00"), "time", "RFC 3339"),
        (foreign(time=1522949460), "time", "RFC 3339"),
        (foreign(time="1970-01-01T00:00:00Z"), "time", "outside 2000"),
        (foreign(time="2100-01-01T00:00:00Z"), "time", "outside 2000"),
        (foreign(datacontenttype="text/xml", data="<a/>"), "datacontenttype", "is not JSON"),
        (foreign(data=None, data_base64="AAA="), "data_base64", "binary"),
        (foreign(Extension="x"), "Extension", "lower-case"),
        (foreign(my_extension="x"), "my_extension", "lower-case"),
        (foreign(extension={"a": 1}), "extension", "texts, booleans or integers"),
        (foreign(extension=2**31), "extension", "32 bits"),
        (foreign(extension=1.5), "extension", "32 bits"),
        (foreign(subject="a\nb"), "subject", "control character"),
        (foreign(dataversion=0), "dataversion", "outside 1"),
        (foreign(dataversion="1"), "dataversion", "not an integer"),
        (foreign(sealed="?"), "sealed", "base64"),
        (foreign(sealed=3), "sealed", "base64"),
        (foreign().replace(b'"id"', b'"id": "x", "id"'), "id", "twice"),
        (foreign(data={"a": 1}).replace(b'"a"', b'"a": 2, "a"'), "a", "twice"),
        (foreign(data=float("nan")), "data", "NaN is not JSON"),
        (foreign(data={"a": [float("-inf")]}), "data", "-Infinity is not JSON"),
        (foreign(data=1).replace(b'"data": 1', b'"data": 1e999'), "data", "not JSON"),
        (foreign(data="\ud800"), "data", "not JSON"),
        (foreign(data="x").replace(b'"x"', b'"\xff"'), "data", "not UTF-8 at byte"),
        (foreign(data="x" * 1_000_001), "data", "more than an event may have"),
        (foreign(data="x" * 10_000_000), "data", "more than an event may have"),
        (b"[" * 100_000, "data", "nested too deeply"),
        (b"{" + b'"a":{' * 100_000, "data", "nested too deeply"),
        (b"1" * 5000, "data", "not JSON"),
        (b"", "data", "not JSON"),
        (b"3", "specversion", "not a JSON object"),
        (b"[]", "specversion", "not a JSON object"),
        (foreign() + b"{}", "data", "not JSON"),
        (foreign(type="ClipRated", subject=CLIP, data={"rating": 6}), "rating", "<= 5"),
        (foreign(type="ClipRated", subject=CLIP, data=[]), "data", "needs a JSON object"),
        (foreign(type="ClipRated", subject="tide", data={"rating": 5}), "subject", "not the id of a clip"),
        (foreign(type="ClipRated", subject=CLIP, data={"rating": 5}, sealed="AAAA"), "sealed", "without a sealed part"),
        (foreign(type="ClipTagged", subject=CLIP, data={}), "sealed", "with a sealed part"),
        (foreign(type="ClipTagged", subject=CLIP, data={"tag": "x"}, sealed="AAAA"), "tag", "unknown field"),
    ],
    ids=range(53),
)
def test_what_breaks_a_rule_is_refused_by_its_attribute(body: bytes, attribute: str, message: str) -> None:
    with pytest.raises(EventRejected, match=message) as caught:
        from_cloudevent(body)
    assert caught.value.field == attribute


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.builds(lambda cut: foreign()[:cut], st.integers(0, 250))
)
def test_any_other_bytes_are_one_clear_error(body: bytes) -> None:
    with pytest.raises(EventRejected):
        from_cloudevent(body)


@pytest.mark.parametrize("format", ["cloudevents", "cloudevents-batch"])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_file_is_read_as_it_was_written(format: Any, count: int) -> None:
    events = [foreign(id=f'{number} Ä]"\\,{{') for number in range(count)]
    file = io.BytesIO(b"".join(written(events, format)))
    assert [body for _, body in entries(file)] == events
    if format == "cloudevents-batch":
        assert len(json.loads(file.getvalue())) == count


def test_a_batch_with_white_space_is_read() -> None:
    events = [json.loads(foreign(data="x" * 90_000)) for _ in range(9)]
    file = io.BytesIO(b" \n" + json.dumps(events, indent=4).encode() + b"\r\n")
    assert [json.loads(body) for _, body in entries(file)] == events


@pytest.mark.parametrize(
    "text", ["[", "[1", "[1,", "[1,]", "[1 2]", "[,]", "[1]]", "[1] x", '["', "[{]", "[nul]", '["\\x"]', "[" * 99_999]
)
def test_a_broken_batch_says_after_which_event(text: str) -> None:
    with pytest.raises(EventRejected, match=r"^after event \d"):
        list(entries(io.BytesIO(text.encode())))


def test_a_batch_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(EventRejected, match="after event 0: the array is not UTF-8"):
        list(entries(io.BytesIO(b'["\xff"]')))


def test_a_recorded_event_goes_out_whole(parts: Parts) -> None:
    report = next(fact for fact in EXAMPLES if isinstance(fact, ReportPublished))
    for fact, subject in ((completed(), CLIP), (ClipPinned(reason="ü"), CLIP), (report, "2026-W47")):
        event = parts.record(fact, subject)
        draft = from_cloudevent(to_cloudevent(event))
        assert (draft.data, draft.sealed, draft.actor) == (bytes(event.data), event.sealed, event.actor)
