"""Settings of delivery to Mixpanel."""

from __future__ import annotations

from typing import Literal

from voxledger.catalog.settings.kinds import Secret, Section, Span


class MixpanelActor(Section, frozen=True, kw_only=True):
    """What is told about one actor."""

    name: str
    """Who it is: the name, or the opaque id."""
    analytics: Literal["on", "off"] = "on"
    """`off` sends nothing about that actor."""


class Mixpanel(Section, frozen=True, kw_only=True):
    """Delivery to Mixpanel. Without a token events wait."""

    token: Secret = ""
    """Project token; empty = nothing is sent."""
    service_account: str = ""
    """User name of a service account; empty = the token authenticates."""
    service_secret: Secret = ""
    """Secret of the service account."""
    project_id: str = ""
    """Project id, needed with a service account."""
    region: Literal["us", "eu", "in"] = "us"
    """Where the project lives."""
    actor_ids: Literal["opaque", "label"] = "opaque"
    """What Mixpanel calls people: `opaque` = an id that says nothing, `label` = their name here."""
    actors: tuple[MixpanelActor, ...] = ()
    """Actors of their own, `[[mixpanel.actors]]` with `name` and `analytics = "off"`: about those nothing is sent
    (docs/mixpanel.md)."""
    profiles: Span = 600.0
    """Between two updates of user profiles and of the node's group; 0 = neither."""
    gdpr_token: Secret = ""
    """OAuth token with which erasing somebody asks Mixpanel to delete; empty = that request waits."""
    endpoint: str = ""
    """Full URL in place of the region's host, for a proxy."""
    timeout: Span = 30.0
    """Time limit of one request."""
