from __future__ import annotations

from voxledger.catalog import retention


def test_the_public_names_are_there_and_have_docstrings() -> None:
    assert sorted(retention.__all__) == retention.__all__
    for name in retention.__all__:
        assert getattr(retention, name).__doc__
