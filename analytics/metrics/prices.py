"""Prices: what things cost, in millionths of a currency."""

from __future__ import annotations

import msgspec

from voxledger.catalog.settings import Settings


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Millionths of `currency` for 10^9 bytes and 30 days in the store, a thousand uploads, and an hour of a device."""

    currency: str
    gb_month: int
    uploads: int
    devices: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Prices:
        """Those of the settings."""
        return cls(
            currency=settings.prices.currency,
            gb_month=_micro(settings.prices.gb_month),
            uploads=_micro(settings.prices.uploads),
            devices=tuple((price.device, _micro(price.per_hour)) for price in settings.prices.devices),
        )


def device_price(prices: Prices) -> str:
    """What an hour of a clip's device costs, as SQL over `made`: the first price that fits the device or its family holds."""
    whens = [
        f"WHEN made.device = {_text(device)} OR starts_with(made.device, {_text(f'{device}:')}) THEN {micro}"
        for device, micro in prices.devices
    ]
    return f"CASE {' '.join(whens)} ELSE 0 END" if whens else "0"


def _micro(price: float) -> int:
    return round(price * 1e6)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


DEFAULT = Prices.of(Settings())
"""The prices where nobody set any."""
