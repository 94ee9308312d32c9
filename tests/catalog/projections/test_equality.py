"""However the log is cut, the tables are the same; and the past is what folding up to it gives."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.catalog.projections.folded import Folded, shuffled_sizes
from tests.catalog.projections.lives import life
from tests.soak import examples, some


@pytest.mark.parametrize("seed", some(range(20)))
def test_tables_do_not_depend_on_how_the_log_is_cut(seed: int) -> None:
    draw = random.Random(seed)
    history = life(draw, 100)
    whole = Folded(history).everything()
    for sizes in ((1,), (7,), shuffled_sizes(draw)):
        found = Folded(history, sizes=sizes).everything()
        for name, rows in whole.items():
            assert found[name] == rows, (name, sizes)


@pytest.mark.parametrize("seed", some(range(20)))
def test_the_past_is_what_folding_up_to_it_gives(seed: int) -> None:
    draw = random.Random(1000 + seed)
    history = life(draw, 150)
    full = Folded(history, sizes=shuffled_sizes(draw))
    for position in sorted(draw.sample(range(151), 3)):
        prefix = Folded(history, sizes=(40,), through=position)
        prefix.as_of(position)
        full.as_of(position)
        then, now = full.everything(), prefix.everything()
        for name, rows in now.items():
            assert then[name] == rows, (name, position)
        assert full.row("SELECT position FROM projections") == {"position": position}
        assert full.row("SELECT count(*) AS n FROM events") == {"n": position}


@given(seed=st.integers(0, 2**32), cut=st.integers(1, 60), size=st.sampled_from((1, 3, 50)))
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_present_is_the_past_at_the_head(seed: int, cut: int, size: int) -> None:
    history = life(random.Random(seed), cut)
    folded = Folded(history, sizes=(size,))
    for name in ("clips", "holds", "voices", "marks", "purges", "generations", "changes"):
        present = folded.rows(f"FROM {name} ORDER BY ALL")
        assert folded.rows(f"FROM {name}_at({cut}) ORDER BY ALL") == present
        assert folded.rows(f"FROM {name}_at({cut + 1000}) ORDER BY ALL") == present
