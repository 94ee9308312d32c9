"""The circuit: while the endpoint does not answer, one probe at a time goes out and everything else waits."""

from __future__ import annotations

import random

LONGEST = 300.0


def backoff(attempt: int) -> float:
    """Seconds until the next attempt: full jitter under 1 s doubling to 300 s, so that many do not return at once.

    See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """
    return random.uniform(0.05, min(LONGEST, 2.0 ** min(attempt - 1, 20)))  # noqa: S311  # jitter, not a secret


class Circuit:
    """Closed while requests are answered. Its user holds a lock. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        """Why it is open; None while it is closed."""
        self.failures = 0
        """Probes that have failed since it was made; never goes back."""
        self._round = 0
        self._failed_in_a_row = 0
        self._probe_at = 0.0
        self._probing = False

    def wait(self, present: float) -> float:
        """Seconds until a request may go out: 0 now, infinite while a probe is out."""
        if self.trouble is None:
            return 0.0
        return float("inf") if self._probing else max(0.0, self._probe_at - present)

    def begin(self) -> int:
        """A request goes out; gives the round it belongs to, for `failed`."""
        self._probing = self.trouble is not None
        return self._round

    def skipped(self, belongs: int) -> None:
        """The request ended without asking the endpoint anything."""
        if belongs == self._round:
            self._probing = False

    def answered(self) -> None:
        """Somebody answered."""
        self.trouble = None
        self._failed_in_a_row = 0
        self._probing = False

    def failed(self, belongs: int, present: float, trouble: str) -> None:
        """Nobody answered. Requests that went out together count once: they tell the same story."""
        if belongs != self._round:
            return
        self._round += 1
        self.failures += 1
        self._failed_in_a_row += 1
        self.trouble = trouble
        self._probing = False
        self._probe_at = present + backoff(self._failed_in_a_row)

    def hurry(self) -> None:
        """Let the next probe go out at once."""
        self._probe_at = 0.0
