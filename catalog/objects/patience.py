"""Patience: a request that failed for a reason that passes is made again, a few times."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects.client import is_transient

_T = TypeVar("_T")
_ATTEMPTS = 5
"""Attempts in a row that bring nothing."""
_FIRST = 0.2
"""Seconds before the second attempt; each further one waits twice as long, about 3 s in all."""


def patiently(step: Callable[[], _T], *, got: Callable[[], int] = lambda: 0) -> _T:
    """What `step` gives. It is repeated, so it must do no harm when it is done twice, or go on where it stopped: then
    `got` says how far it is, and an attempt that brought something is not in vain. Raises its last error.
    """
    vain = 0
    while True:
        had = got()
        try:
            return step()
        except StoreError as error:
            vain = 0 if got() > had else vain + 1
            if vain == _ATTEMPTS or not is_transient(error):
                raise
        time.sleep(_FIRST * 2.0 ** max(0, vain - 1) * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
