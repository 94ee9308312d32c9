"""One example of every event type, as its golden file has it, and random ones."""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from tests.building import completed
from voxledger.catalog import events
from voxledger.catalog.events import REGISTRY, Fact

_WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_SHA = "5f" * 32
_CLIP = "01936f2e-7c1a-7d53-9b0e-5b1f8f3a91c2"
_VOICE = {"sha256": _SHA, "name": "Änne"}
_MODEL = {
    "model": "indextts",
    "model_version": "2.5",
    "manifest": _SHA,
    "files": 14,
    "bytes": 5_000_000_000,
    "elapsed_us": 9_000_000,
}
_OBJECT = {"bucket": "indextts-audio", "bytes": 66_194, "key": "ann/default/tide.wav"}
_BACKUP = {
    "backup": "b1", "bucket": "indextts-backup", "through": 1200, "head": _SHA, "files": 7, "bytes": 900_000,
    "with_vault": False, "with_audio": True, "elapsed_us": 2_000_000,
}  # fmt: skip
_ERASURE = {
    "request": "e1",
    "scope": "actor",
    "target": "01936f2e-0000-7d53-9b0e-5b1f8f3a91c2",
    "clips": 12,
    "bytes": 900_000,
}
_PLAN = {"plan": "3f9c2e10aa51b7d4", "rule": "scratch"}

EXAMPLES: list[Fact] = [
    completed(
        tags=("on-air",), sampling={"top_p": 0.8}, seed=7, emotion_sha256=_SHA, target_lufs=-12.5, chain=1, marks=True,
        silence_share=0.08, clipped_samples=2, speech_rate=14.5, suspect=("clipped",), streamed=True, first_us=9_000,
        segments_cached=1, emotion_words="as if out of breath", timing="[[0,20,0,1500]]",
        load_us=9_500_000,
        passages=(
            events.SpokenPassage(
                start_us=50_000, end_us=1_400_000, emotion="sad", strength=0.5,
                asked=(0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0), effective=(0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0),
            ),
        ),
    ),
    events.GenerationFailed(
        channel="cli", engine="indextts", language="zh", failure="OutOfMemory", stage="synthesis", emotion="sad", text_length=40,
        elapsed_us=90_000, actor_label="ann", remedy="Free the device.", engine_version="0.2.0", delivered_us=400_000,
    ),
    events.GenerationCancelled(
        channel="api", engine="espeak", text_length=40, elapsed_us=90_000, actor_label="ann", language="en", emotion="sad",
        segments=2, delivered_us=2_400_000,
    ),
    events.GenerationReused(
        channel="web", features=("emotion", "tags"), engine="espeak", language="en", emotion="happy", text_length=20,
        duration_us=1_500_000, saved_us=23_000, actor_label="ann",
    ),
    events.AudioStored(**_OBJECT, etag="9a0364b9e99bb480dd25e1f0284c8555", attempts=1, transfer_us=4_000, waited_us=12),
    events.AudioUploadFailed(bucket="indextts-audio", failure="AccessDenied", attempts=6, key="ann/default/tide.wav"),
    events.AudioAccessed(channel="web", purpose="link", expires=_WHEN),
    events.CacheEvicted(bytes=66_194, last_used=_WHEN, path="cache/tide.wav", reason="damaged"),
    events.AudioAdopted(
        source="folder", made=_WHEN, format="wav", sample_rate=22_050, channels=1, duration_us=1_500_000, bytes=66_194, sha256=_SHA,
        bucket="indextts-audio", stored=False, etag=None, actor_label="ann", session="outputs", name="spk_1732354200",
        key="ann/outputs/spk_1732354200.wav", origin="outputs/spk_1732354200.wav", tags=("old",), language="en", emotion="sad",
        engine="indextts", engine_version="2.0", model="IndexTTS-2", loudness_lufs=-17.25, true_peak_dbtp=-1.5, silence_share=0.125,
    ),
    events.ClipTagged(tag="on-air"),
    events.ClipUntagged(tag="on-air"),
    events.ClipRated(rating=4),
    events.ClipPinned(reason="the take that went on air", until=_WHEN),
    events.ClipUnpinned(),
    events.HoldPlaced(hold="h1", kind="legal", until=None, review=_WHEN, reason="dispute with the agency"),
    events.HoldReleased(hold="h1", kind="legal", reason=None),
    events.PolicyChanged(
        policy="9c1e", previous=None, keep_rules=1, expire_rules=2, budgets=1, grace_us=604_800_000_000,
        minimum_age_us=172_800_000_000, max_clips=5000, max_bytes=None, max_percent=10, text='[retention]\ngrace = "7d"\n',
    ),
    events.RetentionPlanned(
        plan="3f9c2e10aa51b7d4", policy="9c1e", through=1200, considered=900, clips=12, bytes=790_000, held=1, cost_micro=17,
        elapsed_us=31_000, run="2026-11-26",
    ),
    events.ClipMarked(**_PLAN, delete_after=_WHEN),
    events.ClipUnmarked(plan="3f9c2e10aa51b7d4", reason="held"),
    events.PurgeStarted(**_PLAN, bucket="indextts-audio"),
    events.ClipPurged(
        **_PLAN, bucket="indextts-audio", bytes=66_194, answer="Deleted", versions=("3sL4kqtJlcpXroDTDmJ", "null"), kept_bytes=0,
        key="ann/tide/tide.wav",
    ),
    events.PurgeFailed(plan="3f9c2e10aa51b7d4", bucket="indextts-audio", failure="SlowDown"),
    events.ClipRestored(**_OBJECT, source="versioning", plan="3f9c2e10aa51b7d4"),
    events.ObjectMissing(**_OBJECT, state="changed", found_bytes=12, found_etag="00"),
    events.ObjectOrphaned(**_OBJECT, reason="unknown", clip=_CLIP, etag="00", modified=_WHEN),
    events.ObjectVerified(**_OBJECT, method="content", etag="00"),
    events.VoiceRegistered(
        **_VOICE, bytes=480_044, duration_us=10_000_000, speech_us=8_700_000, sample_rate=24_000, channels=1, loudness_lufs=-19.5,
        consent="document", consent_sha256=_SHA, scope="internal", expires=_WHEN, bucket="indextts-models", key="voices/anne.wav",
        consent_path="/home/ann/consent.pdf",
    ),
    events.VoiceWithdrawn(**_VOICE, clips=230, reason="she left"),
    events.ModelPushed(**_MODEL, sent_bytes=120_000_000),
    events.ModelPulled(**_MODEL, fetched_bytes=5_000_000_000),
    events.ModelRestored(**_MODEL, place="store", source="node"),
    events.ModelRolledBack(model="indextts", model_version="2.5", former_version="2.6"),
    events.ModelRemoved(model="indextts", model_version="2.6", place="store", forced=False, freed_bytes=0),
    events.ReportPublished(
        week="2026-W47", revision=1, closed=True, through=1200, head=_SHA, head_position=1200, by="send", channels=("bucket", "mail"),
    ),
    events.ReportDelivered(week="2026-W47", revision=1, channel="mail", attempts=2, elapsed_us=410_000, waited_us=65_000_000),
    events.ReportDeliveryFailed(week="2026-W47", revision=1, channel="webhook", outcome="unknown", failure="ReadTimeout", attempts=1),
    events.DeliveryQuarantined(
        subscription="mixpanel", refused_type="GenerationCompleted", field="time", reason="must be within 5 years",
    ),
    events.DeliveryRetried(subscription="mixpanel", refused_type="GenerationCompleted"),
    events.BackupCompleted(**_BACKUP, sent_bytes=40_000, encrypted=True),
    events.RestoreCompleted(**_BACKUP),
    events.ErasureRequested(**_ERASURE, plan="3f9c2e10aa51b7d4", held=2, reason="asked by letter"),
    events.SubjectErased(**_ERASURE, voices=1, objects=13, reports=2, key_destroyed=True, outcomes={"store": "done", "backups": "waiting"}),
    events.TokenIssued(token="01936f2e-1111-7d53-9b0e-5b1f8f3a91c2", role="creator", expires=_WHEN, name="the radio's player", scope="own",
        by="01936f2e-2222-7d53-9b0e-5b1f8f3a91c2"),
    events.TokenRevoked(token="01936f2e-1111-7d53-9b0e-5b1f8f3a91c2", role="creator", name="the radio's player", reason=None,
        by="01936f2e-2222-7d53-9b0e-5b1f8f3a91c2"),
    events.AccessDenied(principal="01936f2e-1111-7d53-9b0e-5b1f8f3a91c2", reason="role", minute=_WHEN, count=3),
]  # fmt: skip


def subject_of(kind: type[Fact]) -> str:
    """A subject that fits a type."""
    return {"voice": _SHA, "week": "2026-W47"}.get(kind.about, _CLIP)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], [meta for meta in arguments[1:] if isinstance(meta, msgspec.Meta)])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_values, arguments))
    if origin is tuple:
        if arguments[-1] is ...:
            return st.lists(_values(arguments[0]), max_size=4).map(tuple)
        return st.tuples(*map(_values, arguments))
    if origin is dict:
        return st.dictionaries(_text(), _values(arguments[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _facts_of(hint)
    return {str: _text(), int: st.integers(-(2**63), 2**63 - 1), bool: st.booleans(), type(None): st.none()}[hint]


def _text() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def _bounded(base: Any, metas: list[msgspec.Meta]) -> st.SearchStrategy[Any]:
    for meta in metas:
        if meta.pattern:
            return st.binary(min_size=32, max_size=32).map(bytes.hex)
        if meta.tz:
            return st.datetimes(timezones=st.just(UTC))
        if meta.ge is not None and base is int:
            return st.integers(int(meta.ge), int(meta.le or 0))
        if meta.ge is not None:
            return st.floats(meta.ge, meta.le, allow_nan=False, width=64)
    return _values(base)


def facts() -> st.SearchStrategy[Fact]:
    """Any fact of any type."""
    return st.sampled_from(list(REGISTRY.values())).flatmap(_facts_of)


def _facts_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{name: _values(hints[name]) for name in kind.__struct_fields__})
