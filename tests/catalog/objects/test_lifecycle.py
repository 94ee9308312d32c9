"""Lifecycle rules: ours are narrow, those of others stay, and a store without them is never asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fault_proxy import FaultProxy
from tests.s3 import S3Server, wait_for
from tests.soak import FULL
from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.features import Features, keep_features
from voxledger.catalog.objects.lifecycle import (
    ABORT,
    EXPIRE,
    TAG,
    BucketRules,
    apply,
    condemner,
    read_rules,
    survey,
    wanted,
)
from voxledger.catalog.objects.policies import policy
from voxledger.catalog.objects.rules import canonical, same
from voxledger.catalog.retention.applying.purge import Doomed, Purger
from voxledger.catalog.settings import Retention, Settings
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.cli import main

ABLE = Features(lifecycle=True, tag_filter=True, abort_rule=True, tags=True)
THEIRS: list[dict[str, Any]] = [
    {"ID": "by prefix", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}},
    {"ID": "by tag", "Filter": {"Tag": {"Key": "keep", "Value": "no"}}, "NoncurrentVersionExpiration": {"NoncurrentDays": 9}},
    {
        "ID": "by both",
        "Filter": {"And": {"Prefix": "x/", "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]}},
        "Expiration": {"Days": 30},
    },
    {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}},
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def store(home: Home, ceph_store: S3Server, bucket: str) -> Iterator[Store]:
    made = Store(
        home, ceph_store.settings(audio=bucket, **dict.fromkeys(("events", "voices", "models", "backup"), bucket))
    )
    made.ensure_bucket(bucket)
    yield made
    made.close()


def _settings(store: Store, backstop: float = 30 * 86400.0) -> Settings:
    return Settings(store=store.settings, retention=Retention(backstop=backstop))


def _write(store: Store, bucket: str, rules: list[dict[str, Any]]) -> None:
    written: Any = {"Rules": [{"Status": "Enabled", **rule} for rule in rules]}
    store.request(
        "RULES", lambda s3: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=written)
    )


def test_our_rules_come_beside_those_of_others_and_go_again(store: Store, bucket: str) -> None:
    _write(store, bucket, THEIRS)
    theirs = read_rules(store, bucket)
    assert theirs is not None
    (found,) = survey(store, _settings(store), ABLE)
    assert [what for _, what in found.rows] == ["kept"] * 4 + ["to be written"] * 2
    assert {rule["ID"] for rule in found.reckless} == {"by prefix", "by tag", "by both"}
    assert apply(store, found, ABLE)

    (found,) = survey(store, _settings(store), ABLE)
    assert found.in_order
    assert not apply(store, found, ABLE)
    assert {rule["ID"] for rule in found.present} == {*(rule["ID"] for rule in THEIRS), EXPIRE, ABORT}

    (found,) = survey(store, _settings(store, backstop=0), ABLE)
    assert (canonical(found.rows[-2][0])["ID"], found.rows[-2][1]) == (EXPIRE, "to be removed")
    assert apply(store, found, ABLE)
    left = read_rules(store, bucket)
    assert left is not None
    assert {rule["ID"] for rule in left} == {*(rule["ID"] for rule in THEIRS), ABORT}
    assert all(any(same(rule, other) for other in left) for rule in theirs)


def test_the_last_rule_of_ours_leaves_no_configuration(store: Store, bucket: str) -> None:
    (found,) = survey(store, _settings(store), ABLE)
    apply(store, found, ABLE)
    nothing = Features(lifecycle=True)
    (found,) = survey(store, _settings(store), nothing)
    assert apply(store, found, nothing)
    assert read_rules(store, bucket) == ()


def test_rules_that_changed_meanwhile_are_not_overwritten(store: Store, bucket: str) -> None:
    (found,) = survey(store, _settings(store), ABLE)
    _write(store, bucket, THEIRS[:1])
    with pytest.raises(StoreError, match="changed meanwhile"):
        apply(store, found, ABLE)
    present = read_rules(store, bucket)
    assert present is not None
    assert [rule["ID"] for rule in present] == ["by prefix"]


def test_what_a_store_does_not_keep_as_it_was_written_is_taken_back(store: Store, bucket: str) -> None:
    """Ceph 16.2 forgets conditions on the size of objects."""
    _write(store, bucket, THEIRS[:1])
    sized = canonical(
        {"ID": ABORT, "Filter": {"ObjectSizeGreaterThan": 5}, "Expiration": {"Days": 1}, "Status": "Enabled"}
    )
    present = read_rules(store, bucket)
    assert present is not None
    with pytest.raises(StoreError, match="were put back"):
        apply(store, BucketRules(bucket=bucket, present=present, wanted=(sized,)), ABLE)
    assert read_rules(store, bucket) == present


@pytest.mark.parametrize("known", [Features(lifecycle=False), Features()])
def test_a_store_without_rules_is_not_asked_at_all(home: Home, rclone_store: S3Server, known: Features) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        settings = Settings(store=rclone_store.settings(url=proxy.url))
        with pytest.raises(StoreError, match="no rules for the store"):
            survey(Store(home, settings.store), settings, known)
        with pytest.raises(StoreError, match="no rules for the store"):
            apply(Store(home, settings.store), BucketRules(bucket="b", present=(), wanted=()), known)
    assert proxy.asked() == 0


def test_a_purge_tags_what_it_deletes_and_an_old_version_that_stays_shows_it(
    store: Store, ceph_store: S3Server, home: Home, bucket: str
) -> None:
    enabled: Any = {"Status": "Enabled"}
    store.request("V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled))
    store.put(bucket, "ann/a.wav", b"sound", tags={"app": "voxledger"})
    settings = _settings(store)
    assert condemner(home, settings, store) is None  # nobody has tried what the store can do
    keep_features(home, Features(endpoint=store.endpoint, tags=True, tag_filter=True))
    assert condemner(home, _settings(store, backstop=0), store) is None
    condemn = condemner(home, settings, store)
    assert condemn is not None
    doomed = Doomed(id="0" * 32, bucket=bucket, key="ann/a.wav", path=None, bytes=5, plan="p", rule="r")
    limited = Store(home, ceph_store.user(policy(["retention"], settings)).settings())
    outcomes = Purger(limited, home.cache, condemn=condemn).purge([doomed])
    assert [(outcome.failure, outcome.answer, outcome.kept_bytes) for outcome in outcomes] == [
        (None, "VersionsKept", 5)
    ]

    def tags(s3: Any) -> Any:
        (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
        return s3.get_object_tagging(Bucket=bucket, Key="ann/a.wav", VersionId=version["VersionId"])["TagSet"]

    assert store.request("TAGS", tags) == [TAG]


@pytest.mark.skipif(not FULL, reason="waits for Ceph's own lifecycle run, about half a minute: make soak")
def test_the_store_itself_removes_what_is_tagged_and_nothing_else(store: Store, bucket: str) -> None:
    store.put(bucket, "ann/kept.wav", b"sound", tags={"app": "voxledger"})
    store.put(bucket, "ann/gone.wav", b"sound", tags={TAG["Key"]: TAG["Value"]})
    (found,) = survey(store, _settings(store, backstop=86400.0), ABLE)
    apply(store, found, ABLE)
    wait_for(lambda: not store.exists(bucket, "ann/gone.wav"), "the store removes what is tagged", seconds=120)
    assert store.exists(bucket, "ann/kept.wav")


def test_the_commands_show_ask_and_write(
    store: Store, home: Home, bucket: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = dict.fromkeys(("audio", "events", "voices", "models", "backup"), bucket)
    keys = {"access_key": store.settings.access_key, "secret_key": store.settings.secret_key}
    for name, value in {"endpoint": store.endpoint, **names, **keys}.items():
        monkeypatch.setenv(f"VOXLEDGER_STORE_{name.upper()}", value)
    monkeypatch.setenv("VOXLEDGER_RETENTION_BACKSTOP", "30d")
    assert _run(home, "show") == 1
    assert "run `voxledger doctor` first" in capsys.readouterr().err.replace("\n", " ")
    keep_features(home, msgspec.structs.replace(ABLE, endpoint=store.endpoint))
    _write(store, bucket, THEIRS[:1])
    assert _run(home, "apply") == 1  # nobody is there to be asked
    assert "--yes" in capsys.readouterr().err
    present = read_rules(store, bucket)
    assert present is not None
    assert [rule["ID"] for rule in present] == ["by prefix"]
    assert _run(home, "apply", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"written": [bucket], "in_order": []}
    assert _run(home, "show", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["in_order"], told["reckless"]) == (True, ["by prefix"])
    assert _run(home, "show") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "voxledger-expire" in shown
    assert (
        f"{ABORT} gives up unfinished uploads of others too, in {bucket}: use this bucket for Voxledger alone" in shown
    )


def _run(home: Home, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home.path), "lifecycle", *arguments])
    return int(ended.value.code or 0)


TEXT = st.text("abc/{}é ", max_size=8)
TAGS = st.lists(st.fixed_dictionaries({"Key": TEXT, "Value": TEXT}), max_size=3, unique_by=lambda tag: tag["Key"])


@given(prefix=TEXT, tags=TAGS)
def test_all_spellings_of_a_rule_are_the_same_rule(prefix: str, tags: list[dict[str, str]]) -> None:
    aws = {"Filter": {"And": {"Prefix": prefix, "Tags": tags}}}
    ceph: dict[str, Any] = {"Filter": {"Prefix": prefix, "And": {"Tags": tags[::-1]}}}
    assert same(aws, ceph)
    assert canonical(canonical(aws)) == canonical(aws)
    if not tags:
        assert same({"Prefix": prefix}, {"Filter": {"Prefix": prefix}})
    if len(tags) == 1:
        assert same({"Filter": {"Prefix": prefix, "Tag": tags[0]}}, aws)
    assert not same(aws, {"Filter": {"And": {"Prefix": prefix + "x", "Tags": tags}}})


@given(
    backstop=st.sampled_from([0.0, 86400.0, 86401.0, 1e8]),
    able=st.tuples(*[st.sampled_from([True, False, None])] * 4),
    bucket=st.sampled_from(["audio", "events"]),
    template=st.sampled_from(["{actor}/{clip}", "clips/{clip}"]),
)
def test_a_rule_that_deletes_is_never_wider_than_our_prefix_and_our_tag(
    backstop: float, able: tuple[bool | None, ...], bucket: str, template: str
) -> None:
    features = Features(**dict(zip(("lifecycle", "tag_filter", "abort_rule", "tags"), able, strict=True)))
    settings = Settings(
        store=StoreSettings(audio="audio", events="events", key=template), retention=Retention(backstop=backstop)
    )
    for rule in wanted(bucket, settings, features):
        if "Expiration" in rule or "NoncurrentVersionExpiration" in rule:
            both = {**rule["Filter"], **rule["Filter"].get("And", {})}
            assert TAG in [*both.get("Tags", []), both.get("Tag")]
            assert both.get("Prefix", "") == template.partition("{")[0]
            assert rule["Expiration"]["Days"] * 86400 >= backstop > 0
            assert (features.tags, features.tag_filter, bucket) == (True, True, "audio")
