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
