"""The registry: every event type by its name, in the order of a clip's life."""

from __future__ import annotations

from voxledger.catalog.events import access, audio, clip, generation, models, objects, operations, retention, voices
from voxledger.catalog.events.fact import Fact

REGISTRY: dict[str, type[Fact]] = {
    kind.__name__: kind
    for theme in (generation, audio, clip, retention, objects, voices, models, operations, access)
    for kind in vars(theme).values()
    if isinstance(kind, type) and issubclass(kind, Fact) and kind is not Fact
}
