from itertools import combinations

import numpy as np
import pytest

from voxledger.analytics.palette import EMOTIONS, OUTCOMES, ROLES, chart_pairs
from voxledger.synth.emotion import EMOTIONS as NAMES
from voxledger.synth.emotion import NEUTRAL

THEMES = ("light", "dark")
# Full dichromacy in linear sRGB, from Machado, Oliveira and Fernandes 2009, table 1.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    cone = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return lab @ np.cbrt(cone @ np.clip(rgb, 0, 1))


def contrast(one, other):
    lights = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (one, other))
    return lights[1] / lights[0]


def test_the_emotions_are_those_of_the_engine_floor_in_its_order():
    assert tuple(EMOTIONS) == (*NAMES, NEUTRAL)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_emotions_look_alike(theme, sight):
    seen = {name: oklab(np.array(SIGHTS[sight]) @ linear(getattr(colour, theme))) for name, colour in EMOTIONS.items()}
    nearest = min(combinations(seen, 2), key=lambda pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])))
    assert np.linalg.norm(seen[nearest[0]] - seen[nearest[1]]) > 0.065, nearest


@pytest.mark.parametrize("theme", THEMES)
def test_what_carries_meaning_stands_out_from_the_card(theme):
    card = getattr(ROLES["card"], theme)
    for name, colour in {**EMOTIONS, **OUTCOMES}.items():
        assert contrast(getattr(colour, theme), card) >= 3, name


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("role", ["ink", "muted", "accent", "bad"])
@pytest.mark.parametrize("behind", ["page", "card", "wash"])
def test_letters_have_the_contrast_of_level_aa(theme, role, behind):
    assert contrast(getattr(ROLES[role], theme), getattr(ROLES[behind], theme)) >= 4.5


def test_each_light_colour_has_one_dark_partner():
    colours = [colour for group in (EMOTIONS, OUTCOMES, ROLES) for colour in group.values()]
    assert len(chart_pairs()) == len(colours)
