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
_FIRST = 0.2
"""Seconds before the second attempt; each further one waits twice as long, about 3 s in all."""


def patiently(step: Callable[[], _T]) -> _T:
    """What `step` gives. It is repeated, so it must do no harm when it is done twice. Raises its last error."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return step()
        except StoreError as error:
            if not is_transient(error):
                raise
        time.sleep(_FIRST * 2.0**attempt * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
    return step()
