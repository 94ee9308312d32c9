"""Random histories: everything that can happen to a few clips, in any order, before their clips too."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from tests.building import completed
from tests.catalog.projections.folded import START, History
from voxledger.catalog import events
from voxledger.catalog.events import Fact, new_id

ACTORS = ("ann", "bob", "cyd")
_OBJECT = {"bucket": "b", "bytes": 9, "key": "k"}
_MODEL = {"model": "m", "model_version": "1", "manifest": "5f" * 32, "files": 2, "bytes": 8, "elapsed_us": 3}
Draw = random.Random


def _tagged(draw: Draw) -> Fact:
    return draw.choice((events.ClipTagged, events.ClipUntagged))(tag=draw.choice("abc"))


def _hold(draw: Draw) -> Fact:
    hold, kind = draw.choice(("h1", "h2")), draw.choice(("ordinary", "legal"))
    if draw.random() < 0.4:
        return events.HoldReleased(hold=hold, kind=kind, reason=draw.choice((None, "over")))
    until = draw.choice((None, START + timedelta(seconds=draw.randrange(200))))
    return events.HoldPlaced(
        hold=hold, kind=kind, until=None if kind == "legal" else until, review=None, reason="case 7"
    )


def _mark(draw: Draw) -> Fact:
    if draw.random() < 0.4:
        return events.ClipUnmarked(plan="p", reason=draw.choice(("pinned", "used", "undone", "policy")))
    return events.ClipMarked(
        plan=draw.choice("pq"), rule=draw.choice(("", "r")), delete_after=START + timedelta(days=draw.randrange(9))
    )


def _purge(draw: Draw) -> Fact:
    plan = {"plan": draw.choice(("", "p", "q")), "bucket": "b"}
    rule = draw.choice(("", "r", "s"))
    return draw.choice((
        events.PurgeStarted(rule=rule, **plan),
        events.ClipPurged(rule=rule, bytes=9, **plan),
        events.PurgeFailed(failure="AccessDenied", **plan),
        events.ClipRestored(source=draw.choice(("grace", "versioning", "backup", "cache", "node")), plan=None, **_OBJECT),
    ))  # fmt: skip


def _audio(draw: Draw) -> Fact:
    return draw.choice((
        events.AudioStored(etag="e", attempts=1, transfer_us=1, waited_us=1, **_OBJECT),
        events.AudioUploadFailed(bucket="b", failure="AccessDenied", attempts=3, key="k"),
        events.CacheEvicted(bytes=9, last_used=START, path="x"),
        events.ObjectMissing(state="absent", found_bytes=None, found_etag=None, **_OBJECT),
        events.ObjectVerified(method="head", etag="e", **_OBJECT),
    ))  # fmt: skip


def _adopted(draw: Draw, actor: str, tags: tuple[str, ...], key: str) -> Fact:
    stored = draw.random() < 0.5
    return events.AudioAdopted(
        source="bucket" if stored else "folder", made=START, format="wav", sample_rate=22_050, channels=1, duration_us=7, bytes=9,
        sha256="5f" * 32, bucket="b", stored=stored, etag="e" if stored else None, actor_label=actor, session="x", name="tide", key=key,
        origin=None, tags=tags,
    )  # fmt: skip


def _used(draw: Draw) -> Fact:
    if draw.random() < 0.5:
        return events.AudioAccessed(channel="cli", purpose="play")
    return events.GenerationReused(
        channel="cli", features=("tags",), engine="espeak", language="en", emotion="happy", text_length=3, duration_us=5, saved_us=7,
        actor_label=draw.choice(ACTORS),
    )  # fmt: skip


def _said(draw: Draw) -> Fact:
    return draw.choice((
        events.ClipPinned(
            reason=draw.choice((None, "good")),
            until=draw.choice((None, START + timedelta(seconds=draw.randrange(200)))),
        ),
        events.ClipUnpinned(),
        events.ClipRated(rating=draw.randrange(1, 6)),
    ))  # fmt: skip


_PASSAGES = tuple(
    events.SpokenPassage(
        start_us=start, end_us=start + 700_000, emotion="sad", strength=0.5, asked=(0.0,) * 8, effective=(0.1,) * 8
    )
    for start in (0, 800_000)
)  # fmt: skip

_ABOUT_CLIPS: tuple[Callable[[Draw], Fact], ...] = (_tagged, _tagged, _hold, _mark, _purge, _audio, _used, _said)


def _elsewhere(draw: Draw) -> tuple[Fact, str]:
    voice = draw.choice(("5f" * 32, "6a" * 32))
    registered = events.VoiceRegistered(
        sha256=voice, bytes=4, duration_us=5, speech_us=3, sample_rate=16_000, channels=1, loudness_lufs=-20.0, consent="own",
        consent_sha256=None, scope="internal", expires=None, bucket="v", name="Änne", key="k", consent_path=None,
    )  # fmt: skip
    return draw.choice((
        (registered, voice),
        (events.VoiceWithdrawn(sha256=voice, clips=1, name="Änne", reason=None), voice),
        (events.ModelPushed(sent_bytes=5, **_MODEL), "m@1"),
        (events.ModelPulled(fetched_bytes=5, **_MODEL), "m@1"),
        (events.ModelRestored(place="local", source="store", **_MODEL), "m@1"),
        (events.ModelRolledBack(model="m", model_version="1", former_version="2"), "m@1"),
        (events.ModelRemoved(model="m", model_version="1", place="local", forced=False, freed_bytes=5), "m@1"),
        (events.RetentionPlanned(plan="p", policy="c", through=3, considered=9, clips=1, bytes=9, held=0, cost_micro=0, elapsed_us=3,
                                 run=draw.choice((None, "2026-03-02"))), "p"),
        (events.PolicyChanged(policy="c", previous=draw.choice((None, "b")), keep_rules=1, expire_rules=1, budgets=0, grace_us=5,
                              minimum_age_us=5, max_clips=5, max_bytes=None, max_percent=10, text="[retention]"), "c"),
        (events.ReportPublished(week="2026-W10", revision=1, closed=True, through=3), "2026-W10"),
        (events.ReportDelivered(week="2026-W10", revision=1, channel="mail", attempts=2, elapsed_us=9, waited_us=9), "2026-W10"),
        (events.ReportDeliveryFailed(week="2026-W10", revision=1, channel="webhook", outcome="refused", failure="404",
                                     attempts=1), "2026-W10"),
        (events.DeliveryQuarantined(subscription="mixpanel", refused_type="ClipRated", field="time", reason="old"), new_id()),
        (events.DeliveryRetried(subscription="mixpanel", refused_type="ClipRated"), new_id()),
        (events.GenerationFailed(channel="cli", engine="espeak", language=None, failure="timeout", stage="engine", emotion="sad",
                                 text_length=3, elapsed_us=9, actor_label="bob"), new_id()),
        (events.GenerationCancelled(channel="cli", engine="espeak", text_length=3, elapsed_us=9, actor_label="bob"), new_id()),
    ))  # fmt: skip


def life(draw: Draw, steps: int, *, erased: tuple[str, ...] = ()) -> History:
    """A history of that many events. Some clips come late: things happen to them before they are there."""
    history = History(erased=erased)
    coming = [new_id() for _ in range(5)]
    known = coming[:2]
    for _ in range(steps):
        actor, hours = draw.choice(ACTORS), draw.choice((0, 0, -2, 30))
        chance = draw.random()
        if coming and chance < 0.15:
            clip = coming.pop(draw.randrange(len(coming)))
            known.append(clip)
            tags = tuple(draw.sample("abc", draw.randrange(3)))
            key = f"{actor}/x/tide-{clip}.wav"
            made = completed(actor_label=actor, tags=tags, key=key, passages=_PASSAGES[: draw.randrange(3)])
            begun = _adopted(draw, actor, tags, key) if draw.random() < 0.3 else made
            history.add(begun, clip, actor=actor, hours=hours)
        elif chance < 0.25:
            fact, subject = _elsewhere(draw)
            history.add(fact, subject, actor=actor)
        elif chance < 0.28:
            history.raw("MoonRisen", "moon", "{}", version=draw.choice((1, 2)))
        else:
            history.add(draw.choice(_ABOUT_CLIPS)(draw), draw.choice(known), actor=actor, hours=hours)
    return history
