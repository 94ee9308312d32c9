"""Settings of what things cost."""

from __future__ import annotations

from typing import Annotated

import msgspec

from voxledger.catalog.settings.kinds import Section


class DevicePrice(Section, frozen=True, kw_only=True):
    """What engines cost on a device."""

    device: str
    """The device as clips name it, such as `cuda:1`; `cuda` is every one of them."""
    per_hour: Annotated[float, msgspec.Meta(ge=0)]
    """What an hour of its work costs."""


class Prices(Section, frozen=True, kw_only=True):
    """What making and storing clips costs; metrics, reports, retention plans and backtests count with it."""

    currency: str = "USD"
    """In which currency."""
    gb_month: Annotated[float, msgspec.Meta(ge=0)] = 0.023
    """What 10^9 bytes in the store cost for 30 days."""
    uploads: Annotated[float, msgspec.Meta(ge=0)] = 0.005
    """What a thousand uploads cost in the store (PUT requests, repeated ones included)."""
    devices: tuple[DevicePrice, ...] = ()
    """What an hour of engine time costs, `[[prices.devices]]` with `device` and `per_hour`; the first that fits holds, others cost
    nothing."""
