"""Colours: one accent, one a outcome, one an emotion, each for light and for dark pages.

The nine emotion colours were chosen by a search in OKLab that kept each hue near what people expect of the feeling, and
pushed the closest pair apart under normal sight and under the three dichromacies (Machado et al. 2009). Each has a
contrast of 3:1 or more with the card behind it (WCAG 2.2, 1.4.11); `tests/analytics/test_palette.py` measures both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec


class Colour(msgspec.Struct, frozen=True):
    """One role's colour on a light and on a dark page, as `#rrggbb`."""

    light: str
    dark: str


EMOTIONS: Mapping[str, Colour] = MappingProxyType(
    {
        "happy": Colour("#b08f2f", "#f2cd50"),
        "angry": Colour("#ba4e2f", "#c95a37"),
        "sad": Colour("#0166de", "#96bef9"),
        "afraid": Colour("#3c0e55", "#904aa2"),
        "disgusted": Colour("#474d00", "#97a62a"),
        "melancholic": Colour("#3414a1", "#628dec"),
        "surprised": Colour("#e461c9", "#e590a6"),
        "calm": Colour("#09a180", "#35e0cb"),
        "neutral": Colour("#656970", "#7c8188"),
    }
)
"""By name, in the order of the emotion vector, and neutral, which has no weight of its own."""

OUTCOMES: Mapping[str, Colour] = MappingProxyType(
    {
        "completed": Colour("#2b53c4", "#86a3ff"),
        "reused": Colour("#6e8fe6", "#4a66c8"),
        "failed": Colour("#b3261e", "#ff8a7a"),
        "cancelled": Colour("#8b909a", "#767c87"),
    }
)
"""By outcome of a generation, in the order in which they are stacked."""

ROLES: Mapping[str, Colour] = MappingProxyType(
    {
        "page": Colour("#f6f6f4", "#101216"),
        "card": Colour("#ffffff", "#181b21"),
        "ink": Colour("#16181d", "#eceef2"),
        "muted": Colour("#5a606b", "#a2a8b4"),
        "line": Colour("#e2e3e0", "#2b303a"),
        "dots": Colour("#b4b8bf", "#565d6a"),
        "wash": Colour("#f0f1ee", "#20242c"),
        "accent": Colour("#2b50bd", "#8ea9ff"),
        "bad": Colour("#a8231b", "#ff9285"),
    }
)
"""What a page is made of."""


def chart_pairs() -> Mapping[str, str]:
    """The dark colour of every light one that a chart may hold: charts are drawn once, a stylesheet recolours them."""
    return {colour.light: colour.dark for group in (EMOTIONS, OUTCOMES, ROLES) for colour in group.values()}
