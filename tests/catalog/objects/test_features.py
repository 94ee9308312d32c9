"""Features: what a store can do, as the file in HOME remembers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.s3 import S3Server
from voxledger.catalog.home import Home
from voxledger.catalog.objects.features import EMBEDDED, FILE_NAME, Features, keep_features, store_features
from voxledger.catalog.objects.policies import policy
from voxledger.catalog.objects.probing import learn, probe
from voxledger.catalog.objects.store import Store
from voxledger.catalog.settings import Settings
from voxledger.catalog.settings import Store as StoreSettings

HERE = StoreSettings(endpoint="http://Store:9000/")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


def test_of_a_store_that_nobody_tried_nothing_is_known(home: Home) -> None:
    found = store_features(home, HERE)
    assert found == Features(endpoint="http://store:9000")
    assert not found.never_overwrites


def test_the_embedded_store_is_known_without_trying(home: Home) -> None:
    keep_features(home, EMBEDDED)
    assert store_features(home, StoreSettings()) == EMBEDDED
    assert not (home.path / FILE_NAME).exists()


def test_what_was_found_is_kept_by_endpoint(home: Home) -> None:
    keep_features(home, Features(endpoint="http://store:9000", conditional_put=True, conditional_race=True))
    keep_features(home, Features(endpoint="http://other:9000", conditional_put=False))
    assert store_features(home, HERE).never_overwrites
    assert not store_features(home, StoreSettings(endpoint="http://other:9000")).never_overwrites
    assert (home.path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_keys_with_few_rights_do_not_undo_what_better_ones_have_found(home: Home) -> None:
    keep_features(home, Features(endpoint="http://store:9000", server="Ceph", tags=True, notes={"tags": "a"}))
    again = keep_features(
        home, Features(endpoint="http://store:9000", server="Ceph", copy=False, notes={"tags": "b", "copy": "c"})
    )
    assert (again.tags, again.copy) == (True, False)
    assert again.notes == {"tags": "a", "copy": "c"}
    assert store_features(home, HERE) == again


def test_another_server_at_the_same_address_inherits_nothing(home: Home) -> None:
    keep_features(home, Features(endpoint="http://store:9000", server="Ceph", tags=True))
    assert keep_features(home, Features(endpoint="http://store:9000", server="MinIO")).tags is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"endpoints": {"http://store:9000": {"tags": 7}}}', b"\xff"])
def test_a_file_that_cannot_be_read_knows_nothing(home: Home, content: bytes) -> None:
    (home.path / FILE_NAME).write_bytes(content)
    assert store_features(home, HERE) == Features(endpoint="http://store:9000")
    keep_features(home, Features(endpoint="http://store:9000", tags=True))
    assert store_features(home, HERE).tags


def test_a_store_counts_as_untried_until_keys_come_that_may_try_something(
    home: Home, ceph_store: S3Server, bucket: str
) -> None:
    owner = Store(home, ceph_store.settings(audio=bucket))
    owner.ensure_bucket(bucket)
    for role in ("models", "uploader"):  # one may do nothing there, the other may not delete what it would put
        user = ceph_store.user(policy([role], Settings(store=owner.settings)))
        assert not learn(home, Store(home, user.settings(audio=bucket)))
        assert store_features(home, owner.settings).probed is None
    assert learn(home, owner)
    found = store_features(home, owner.settings)
    assert (found.probed is not None, found.multipart) == (True, True)
    assert not learn(home, owner), "once is enough"
    keep_features(home, probe(Store(home, user.settings(audio=bucket))))
    assert store_features(home, owner.settings).probed == found.probed
