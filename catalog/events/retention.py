"""Retention: policies, plans, and each step from a mark to a purge, or back."""

from __future__ import annotations

from typing import ClassVar, Literal

from voxledger.catalog.events.fact import About, Amount, Count, Fact, Moment, Personal


class PolicyChanged(Fact, frozen=True, kw_only=True):
    """Another policy is in force. The subject is its hash; the text holds tags and names, so it is sealed."""

    about: ClassVar[About] = "policy"

    policy: str
    previous: str | None
    keep_rules: Count
    expire_rules: Count
    budgets: Count
    grace_us: Amount
    minimum_age_us: Amount
    max_clips: Count
    max_bytes: Amount | None
    max_percent: Count
    text: Personal


class RetentionPlanned(Fact, frozen=True, kw_only=True):
    """A plan was made for the catalog as it stood at a position. The subject is the plan's id.

    `run` is the day of the schedule's run, such as 2026-11-26, and says that it is done. None when somebody applied it by hand,
    and when a run of the schedule sets its marks and has to purge yet.
    """

    version: ClassVar[int] = 2
    about: ClassVar[About] = "plan"

    plan: str
    policy: str
    through: Amount
    considered: Amount
    clips: Amount
    bytes: Amount
    held: Amount
    cost_micro: Amount
    elapsed_us: Amount
    run: str | None = None


class ClipMarked(Fact, frozen=True, kw_only=True):
    """A plan condemned the clip; it goes after `delete_after` unless something speaks for it until then."""

    plan: str
    rule: str
    delete_after: Moment


class ClipUnmarked(Fact, frozen=True, kw_only=True):
    """A mark was taken back."""

    version: ClassVar[int] = 2

    plan: str
    reason: Literal["pinned", "held", "used", "undone", "policy"]


class PurgeStarted(Fact, frozen=True, kw_only=True):
    """The clip's audio is being deleted; from here on it is never uploaded again."""

    plan: str
    rule: str
    bucket: str


class ClipPurged(Fact, frozen=True, kw_only=True):
    """The clip's audio is gone from the store and the cache, and its absence was seen. It is sealed for whoever made the clip.

    `answer` is what the store said about the object, `versions` are the ids of those that were deleted one by one. Old versions
    that it would not give up still hold `kept_bytes`, although nobody reads them; once they are gone too, this is said again.
    """

    version: ClassVar[int] = 2

    plan: str
    rule: str
    bucket: str
    bytes: Amount
    answer: str = ""
    versions: tuple[str, ...] = ()
    kept_bytes: Amount = 0
    key: Personal | None = None


class PurgeFailed(Fact, frozen=True, kw_only=True):
    """The store would not delete the clip's audio; the next run tries again."""

    plan: str
    bucket: str
    failure: str


class ClipRestored(Fact, frozen=True, kw_only=True):
    """The clip's audio is back in the store after a mark, a purge or a loss; `store`: it had not been deleted yet."""

    bucket: str
    source: Literal["grace", "store", "versioning", "backup", "cache", "node"]
    plan: str | None
    bytes: Amount
    key: Personal
