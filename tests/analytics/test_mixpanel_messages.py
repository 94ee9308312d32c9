"""Messages: what the Mixpanel library would write, about whom, and under which id."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import mixpanel
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from tests.analytics.mixpanel_world import World, generated
from tests.catalog.events.examples import EXAMPLES, facts
from voxledger.analytics.mixpanel import VOCABULARY
from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.messages import Composer
from voxledger.analytics.mixpanel.sent import sent
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.analytics.mixpanel.vocabulary import cut
from voxledger.catalog import settings
from voxledger.catalog.events import EMOTIONS, AudioAccessed, AudioStored, Fact, new_id, split
from voxledger.catalog.subscriptions import RawEvent

_TIME_US = 1_772_600_767_891_999


class _Library:
    """The Mixpanel library with a consumer that keeps what it is given."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def send(self, endpoint: str, json_message: str, *_: object) -> None:
        assert endpoint == "imports"
        self.said.append(json.loads(json_message))

    def message(self, event: RawEvent, data: dict[str, Any]) -> dict[str, Any]:
        """The message by the rules of the vocabulary, written by the library."""
        entry = VOCABULARY[event.type]
        properties: dict[str, Any] = {
            "$insert_id": event.id, "ip": 0, "$source": "voxledger", "mp_lib": "voxledger", "$lib_version": "0.1.0",
            "node": "node-1", "event_version": event.version,
        }  # fmt: skip
        if entry.about_clip:
            properties["clip"] = cut(event.subject)
        for rule in entry.rules:
            if rule.field in data and (value := rule.convert(data[rule.field])) is not None:
                properties[rule.name] = value
        if entry.weights:
            weights = zip(EMOTIONS, data[entry.weights], strict=True)
            properties |= {f"emotion_{emotion}": round(weight, 4) for emotion, weight in weights}
        who = event.actor
        if not entry.by_user or data.get("channel") == "batch":
            who, properties["actor"] = "", who
        variant = entry.variants.get(data.get(entry.variant_of, ""))
        name = variant.name if variant else entry.name
        mixpanel.Mixpanel("token", consumer=self).import_data(None, who, name, event.time_us // 1000, properties)
        return self.said[-1]


def raw(fact: Fact, actor: str) -> RawEvent:
    """A fact as the log holds it."""
    return RawEvent(1, new_id(), type(fact).__name__, new_id(), _TIME_US, actor, type(fact).version, split(fact)[0])


def composer(world: World, **changes: Any) -> Composer:
    """Writes messages of this HOME."""
    audience = Audience(settings.Mixpanel(**changes), world.recorder.vault, ToldNames(world.home.path))
    return Composer("token", audience, node="node-1")


@pytest.mark.parametrize("kind", sorted(VOCABULARY))
def test_lines_are_what_the_library_would_write(world: World, kind: str) -> None:
    writer, library = composer(world), _Library()
    examples = [fact for fact in EXAMPLES if type(fact).__name__ == kind]
    assert examples
    for fact in examples:
        _same(writer, library, fact, world.ann.id)


@given(facts().filter(lambda fact: type(fact).__name__ in VOCABULARY))
@hypothesis_settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_lines_are_what_the_library_would_write_of_anything(world: World, fact: Fact) -> None:
    _same(composer(world), _Library(), fact, world.ann.id)


def _same(writer: Composer, library: _Library, fact: Fact, actor: str) -> None:
    event = raw(fact, actor)
    message = writer.compose(event)
    assert message is not None
    wanted = library.message(event, msgspec.json.decode(event.data or b""))
    found = json.loads(message.line)
    wanted["properties"]["$lib_version"] = found["properties"]["$lib_version"]
    assert found == wanted


def test_long_values_are_cut_like_any_other(world: World) -> None:
    fact = generated(engine="ü" * 200, features=tuple(f"f{number}" for number in range(150)), model='"' * 255)
    _same(composer(world), _Library(), fact, world.ann.id)
    message = composer(world).compose(raw(fact, world.ann.id))
    assert message is not None
    told = json.loads(message.line)["properties"]
    assert (told["engine"], len(told["features"]), told["model"]) == ("ü" * 127, 100, '"' * 255)


def test_batches_share_no_id(world: World) -> None:
    stored = AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")
    world.record(generated(channel="batch"), generated(), stored)
    world.mixpanel().deliver()
    told = [sent["properties"] for sent in world.server.requests[0].events]
    assert [(each["distinct_id"], each.get("actor")) for each in told] == [
        ("", world.ann.id), (world.ann.id, None), ("", world.ann.id),
    ]  # fmt: skip


def test_every_event_belongs_to_its_node(world: World) -> None:
    world.plays(1)
    world.mixpanel().deliver()
    (told,) = world.server.events.values()
    assert told["properties"]["node"] == world.recorder.journal.node


def test_names_are_told_only_to_who_asks_for_them(world: World) -> None:
    people = {name: world.recorder.vault.actor(name) for name in ("Ben", "anonymous", "n" * 300)}
    for actor in people.values():
        world.record(AudioAccessed(channel="web", purpose="play"), actor=actor)
    world.mixpanel(actor_ids="label").deliver()
    told = [sent["properties"]["distinct_id"] for sent in world.server.requests[0].events]
    assert told == ["Ben", people["anonymous"].id, people["n" * 300].id], "Mixpanel takes no such names"
    assert ToldNames(world.home.path).of(people["Ben"].id) == ["Ben"]
    assert (world.home.path / "mixpanel-names.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_sent_about_who_does_not_want_it(world: World) -> None:
    ben = world.recorder.vault.actor("Ben")
    world.plays(2)
    world.record(generated(), generated(channel="batch"), actor=ben)
    off = (settings.MixpanelActor(name="Ben", analytics="off"), settings.MixpanelActor(name="Carl", analytics="off"))
    mixpanel_ = world.mixpanel(actors=off)
    done = mixpanel_.deliver()
    assert (done.sent, done.skipped, done.waiting) == (2, 2, 0)
    assert ben.id.encode() not in b"".join(request.body for request in world.server.requests)
    status = mixpanel_.status()
    assert (list(status.opted_out), list(status.unknown)) == (["Ben", "Carl"], ["Carl"])
    keeper = world.subscription.keeper
    assert sent(keeper, settings.Mixpanel(actors=off), ben.id)["analytics"] == "off"
    told = sent(keeper, settings.Mixpanel(actors=off), world.ann.id)
    assert told["events"]["Audio Played"] == {"count": 2, "properties": ["channel", "purpose"]}


def test_an_id_serves_as_well_as_a_name_to_leave_somebody_out(world: World) -> None:
    world.record(AudioAccessed(channel="web", purpose="play"), time=datetime(2026, 1, 1, tzinfo=UTC))
    off = (settings.MixpanelActor(name=world.ann.id, analytics="off"),)
    assert world.mixpanel(actors=off).deliver().skipped == 1
    assert list(world.mixpanel(actors=off).status().unknown) == []


def test_told_names_of_several_processes_are_all_kept_and_forgotten_ones_stay_forgotten(world: World) -> None:
    """Delivery, backfill and profiles run beside each other, and each remembers names; an erasure forgets them."""
    home = world.home.path
    delivery, backfill = ToldNames(home), ToldNames(home)
    delivery.remember("a", "Ann")
    backfill.remember("b", "Ben")
    delivery.remember("c", "Cem")
    assert [list(ToldNames(home).of(who)) for who in "abc"] == [["Ann"], ["Ben"], ["Cem"]]
    ToldNames(home).forget("a")
    backfill.remember("d", "Dee")
    delivery.remember("e", "Eve")
    assert [list(ToldNames(home).of(who)) for who in "abcde"] == [[], ["Ben"], ["Cem"], ["Dee"], ["Eve"]]
    delivery.remember("a", "Ann")
    assert ToldNames(home).of("a") == ["Ann"], "told again, it is known again"


def test_told_names_survive_writers_at_the_same_time(world: World) -> None:
    def tell(writer: int) -> None:
        names = ToldNames(world.home.path)
        for number in range(20):
            names.remember(f"{writer}-{number}", "name")

    threads = [threading.Thread(target=tell, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = ToldNames(world.home.path)
    assert all(told.of(f"{writer}-{number}") for writer in range(4) for number in range(20))
