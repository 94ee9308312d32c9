"""Models: versions of an engine's files, and their way into the store and back."""

from __future__ import annotations

from typing import ClassVar, Literal

from voxledger.catalog.events.fact import About, Amount, Count, Fact, Sha256


class ModelPushed(Fact, frozen=True, kw_only=True):
    """A model version lies whole in the store. The subject is `name@version`.

    `sent_bytes` is what had to travel; files that another version brought are shared.
    """

    about: ClassVar[About] = "model"

    model: str
    model_version: str
    manifest: Sha256
    files: Count
    bytes: Amount
    sent_bytes: Amount
    elapsed_us: Amount


class ModelPulled(Fact, frozen=True, kw_only=True):
    """A model version lies whole and verified on this machine. The subject is `name@version`."""

    about: ClassVar[About] = "model"

    model: str
    model_version: str
    manifest: Sha256
    files: Count
    bytes: Amount
    fetched_bytes: Amount
    elapsed_us: Amount


class ModelRestored(Fact, frozen=True, kw_only=True):
    """A damaged or deleted model version is whole again, here or in the store. The subject is `name@version`."""

    about: ClassVar[About] = "model"

    model: str
    model_version: str
    manifest: Sha256
    place: Literal["local", "store"]
    source: Literal["store", "versioning", "objects", "node"]
    files: Count
    bytes: Amount
    elapsed_us: Amount


class ModelRolledBack(Fact, frozen=True, kw_only=True):
    """Another version of a model was made the current one, the one before or any. The subject is `name@version`, as it is now.

    `former_version` was the current one until then; null when none was.
    """

    about: ClassVar[About] = "model"

    model: str
    model_version: str
    former_version: str | None


class ModelRemoved(Fact, frozen=True, kw_only=True):
    """A model version was taken away from this machine, or out of the store. The subject is `name@version`.

    `freed_bytes` became free here; in the store nothing does before its contents are collected. `forced`: it was asked for although
    it might be refused.
    """

    about: ClassVar[About] = "model"

    model: str
    model_version: str
    place: Literal["local", "store"]
    forced: bool
    freed_bytes: Amount
