"""What each principal has under way is counted, and all of them together."""

from __future__ import annotations

from voxledger.dashboards.server.underway import Underway


def test_each_principal_has_a_share_and_all_together_a_limit() -> None:
    underway = Underway(2, 3)
    assert [underway.come(principal) for principal in ("a", "a", "a", "b", "b", "c")] == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    underway.go("a")
    assert [underway.come(principal) for principal in ("c", "a")] == [True, False]
    underway.go("b")
    assert underway.come("a")
