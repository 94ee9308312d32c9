"""The uploader: takes upload tasks from the journal and sees them into the store, for as long as that takes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.journal import UPLOAD, Task
from voxledger.catalog.objects.multipart import LARGE
from voxledger.catalog.objects.sending import Sending
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.attempt import Ended, attempt
from voxledger.catalog.objects.uploads.circuit import Circuit, backoff
from voxledger.catalog.objects.uploads.outcomes import Outcomes
from voxledger.catalog.objects.uploads.progress import Meter, Notice, Progress
from voxledger.catalog.objects.uploads.refusals import Refusals
from voxledger.catalog.objects.uploads.unfinished import Unfinished
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.catalog.steps import OnStep, Step, unheard

LEASE = 300.0
"""Seconds a task is ours; renewed while it is being done."""
MOST_REFUSALS = 8
"""Refusals of one task before it waits for a person; outages and kills are none."""
_POLL = 2.0
"""Seconds between two looks for tasks of other processes."""
_RENEW = LEASE / 4
_RESERVE = 8
"""Tasks leased ahead for each thread: a lease costs as much as recording an upload. More are leased below half of it."""
_LISTED = 10_000
"""Most tasks looked through for parked ones."""
_FAREWELL = 1.0
"""Seconds for transfers that were told to stop to hand their tasks back."""
_log = logging.getLogger(__name__)


class Uploader:
    """Uploads in background threads. Any number of processes may have one: a task is leased to one of them at a time.

    Each upload ends in one journal transaction: AudioStored and the task done. If the lease was lost meanwhile, nothing
    is recorded: somebody else does it, or it must not be done any more.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        settings: StoreSettings,
        *,
        threads: int | None = None,
        on_stored: Callable[[int], None] = lambda size: None,  # noqa: ARG005
        on_step: OnStep = unheard,
    ) -> None:
        """`on_stored` hears the bytes of each clip that has arrived, in a thread of the uploader: it must be quick."""
        self._recorder = recorder
        self._journal = recorder.journal
        self._outcomes = Outcomes(recorder)
        self._store = store
        self._count = threads or settings.upload_threads
        lock = threading.RLock()
        # The dispatcher waits for a change, workers for a task: whoever is woken for nothing costs the others time.
        self._changed = threading.Condition(lock)
        self._ready = threading.Condition(lock)
        self._threads: list[threading.Thread] = []
        self._queue: deque[Task] = deque()
        self._running: set[int] = set()
        self._circuit = Circuit()
        self._calls = 0
        self._look_at = 0.0
        self._renew_at = float("inf")
        self._closing = False
        self._stopped = threading.Event()
        self._meter = Meter(limit=settings.upload_limit)
        self._notice = Notice(store.home.uploads, recorder.journal.owner)
        self._unfinished = Unfinished(store.home.uploads, recorder)
        self._refusals = Refusals(store.home.uploads, recorder.journal)
        self._slots = threading.Semaphore(self._count)
        self._on_stored = on_stored
        self._on_step = on_step

    def start(self) -> None:
        """Begin to work, tasks of other processes included. Idempotent; nothing happens after `close`."""
        with self._changed:
            if self._threads or self._closing:
                return
            self._threads = [
                threading.Thread(target=self._dispatch, name="voxledger-uploads", daemon=True),
                *(
                    threading.Thread(
                        target=self._work, kwargs={"first": not number}, name=f"voxledger-upload-{number}", daemon=True
                    )
                    for number in range(self._count)
                ),
            ]
            for thread in self._threads:
                thread.start()

    def notify(self) -> None:
        """There is a new task: look now. Starts the threads the first time; takes microseconds."""
        self.start()
        with self._changed:
            self._calls += 1
            self._look_at = 0.0
            self._changed.notify_all()
            if self._circuit.trouble is not None:
                self._ready.notify_all()

    @property
    def progress(self) -> Progress:
        """The counters at this moment."""
        with self._changed:
            return self._meter.read(running=len(self._running), trouble=self._circuit.trouble)

    def flush(
        self,
        subjects: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
        watch: Callable[[int, Progress], bool] | None = None,
    ) -> int:
        """Wait until the uploads of these clips, or all, are done, at most `timeout` seconds; gives how many are not.

        Returns early when waiting is of no use: nobody answers at the endpoint, what is left waits for a person, or it
        is not due before the time is up. Uploads of other processes count too. `watch` hears now and then how many are
        left, and says whether to wait on.
        """
        wanted = None if subjects is None else list(subjects)
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        with self._changed:
            failures = self._circuit.failures
            self._circuit.hurry()
        self.notify()
        while True:
            looked = time.monotonic()
            left, hopeful = self._left(wanted, deadline)
            if watch is not None and not watch(left, self.progress):
                return left
            present = time.monotonic()
            with self._changed:
                unreachable = self._circuit.trouble is not None and self._circuit.failures > failures
                if not left or not hopeful or unreachable or present >= deadline or self._closing:
                    return left
            # Counting a long queue must not become the work.
            time.sleep(min(max(0.01, 30 * (present - looked)), 0.5, deadline - present))

    def close(self, *, timeout: float = 10.0) -> None:
        """Take no more tasks, give running transfers up to `timeout` seconds, hand the rest back. Idempotent.

        Of a file that goes in parts, no further one begins; the next process goes on with those that lack.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._ready.notify_all()
        self._hand_back()
        self._join(timeout)
        self._stopped.set()
        self._join(_FAREWELL)
        self._notice.end()

    def _join(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is None:
                continue  # an interrupt came between making and starting them
            thread.join(max(0.0, deadline - time.monotonic()))

    def _left(self, wanted: list[str] | None, deadline: float) -> tuple[int, bool]:
        """How many uploads are open, and whether any of them can still end before the deadline."""
        states = {found.state: found for found in self._journal.counts() if found.kind == UPLOAD}
        parked = states["parked"].count if "parked" in states else 0
        if wanted is None:
            left = sum(found.count for found in states.values())
        else:
            left = self._journal.open_tasks(UPLOAD, wanted)
            if parked and left:
                listed = self._journal.tasks(UPLOAD, limit=_LISTED)
                parked = len({task.subject for task in listed if task.state == "parked"}.intersection(wanted))
        due_in = states["waiting"].next_due - time.time() if "waiting" in states else float("inf")
        return left, left > parked and ("leased" in states or due_in <= deadline - time.monotonic())

    # The dispatcher leases tasks for the workers, and keeps the leases.

    def _dispatch(self) -> None:
        while True:
            with self._changed:
                busy = bool(self._running) or self._circuit.trouble is not None
            if self._notice.is_due(busy=busy):
                self._notice.tell(self.progress)
            with self._changed:
                if self._closing:
                    return
                present = time.monotonic()
                limit, calls = self._appetite(), self._calls
                wait = max(self._circuit.wait(present), self._look_at - present)
                renew = present >= self._renew_at
                if not renew and (wait > 0 or not limit):
                    self._changed.wait(min(_POLL, wait) if limit else _POLL)
                    continue
            try:
                if renew:
                    self._renew()
                elif not self._lease(limit, calls):
                    self._hand_back()
            except Exception as error:  # noqa: BLE001  # a dispatcher that dies is an uploader that silently does nothing
                self._pause(error)

    def _appetite(self) -> int:
        """How many tasks to lease: a reserve for every worker, so that leases cost little; one as a probe."""
        if self._circuit.trouble is not None:
            return 0 if self._queue or self._running else 1
        return _RESERVE * self._count - len(self._queue) if self._runs_low() else 0

    def _runs_low(self) -> bool:
        return len(self._queue) < _RESERVE * self._count // 2

    def _lease(self, limit: int, calls: int) -> bool:
        """False when the uploader closed meanwhile."""
        found = self._journal.lease(UPLOAD, limit=limit, seconds=LEASE)
        pause = 0.0
        if len(found) < limit:
            due = self._journal.next_due(UPLOAD)
            pause = _POLL if due is None else min(_POLL, max(0.01, due - time.time()))
        with self._changed:
            if found and not self._queue and not self._running:
                self._renew_at = time.monotonic() + _RENEW
            self._queue.extend(found)
            # A call that came while we were looking may be about a task that we did not see.
            self._look_at = time.monotonic() + pause if calls == self._calls else 0.0
            self._ready.notify(len(found))
            return not self._closing

    def _renew(self) -> None:
        with self._changed:
            ours = [*self._running, *(task.id for task in self._queue)]
            self._renew_at = time.monotonic() + _RENEW if ours else float("inf")
        with self._journal.transaction() as write:
            write.renew_tasks(ours, seconds=LEASE)

    def _hand_back(self) -> None:
        with self._changed:
            untried = list(self._queue)
            self._queue.clear()
        try:
            self._outcomes.untried(untried)
        except VoxledgerError as error:
            _log.warning("upload tasks could not be handed back; their lease runs out by itself: %s", error)

    def _pause(self, error: Exception) -> None:
        with self._changed:
            self._look_at = time.monotonic() + _POLL
            self._renew_at = max(self._renew_at, self._look_at)
            if not self._closing:
                _log.warning("the journal gives no upload tasks: %s", error)

    # The workers do them.

    def _work(self, *, first: bool) -> None:
        if first:
            self._sweep()
        while True:
            with self._changed:
                while not self._closing and (not self._queue or (wait := self._circuit.wait(time.monotonic())) > 0):
                    self._ready.wait(min(_POLL, wait) if self._queue else None)
                if self._closing:
                    return
                task = self._queue.popleft()
                self._running.add(task.id)
                belongs = self._circuit.begin()
                self._wake()
            try:
                self._do(task, belongs)
            except Exception as error:  # noqa: BLE001  # one task must not end the work on all others
                # Its lease runs out, or ends with this process; then it is taken again. What it says may quote names.
                if not self._closing:
                    _log.warning("upload task %d was left as it is (%s)", task.id, _kind(error))
            finally:
                with self._changed:
                    self._running.discard(task.id)
                    self._circuit.skipped(belongs)
                    self._wake()

    def _wake(self) -> None:
        """Whoever may have something to do now: another worker, and the dispatcher unless the queue is long."""
        if self._queue:
            self._ready.notify()
        if self._runs_low():
            self._changed.notify()

    def _sweep(self) -> None:
        """What a process before this one began to send in parts, and nobody wants any more, is given up."""
        try:
            self._refusals.sweep()
            self._unfinished.sweep(self._store)
        except (VoxledgerError, OSError) as error:
            _log.debug("unfinished uploads are given up later (%s)", type(error).__name__)

    def _do(self, task: Task, belongs: int) -> None:
        started = time.time()
        sending = Sending(
            sent=self._meter.sent, closing=lambda: self._closing, stopped=self._stopped.is_set, slots=self._slots
        )
        ended = attempt(task, self._recorder, self._store, self._unfinished, sending)
        with self._changed:
            if ended.endpoint in ("silent", "busy"):
                self._circuit.failed(belongs, time.monotonic(), ended.reason)
            elif ended.endpoint == "answered":
                self._circuit.answered()
        if ended.endpoint == "silent":
            self._hand_back()
        if ended.verdict == "stored":
            self._stored(task, ended, started)
        elif ended.verdict == "stopped":
            self._outcomes.untried([task])
        elif ended.verdict == "passing":
            # Where nobody answered, the circuit decides when to go on, and then at once. All else is about this task.
            at_once = ended.endpoint == "silent" and ended.failure != "ReadTimeoutError"
            self._retry(task, ended.reason, after=0.0 if at_once else backoff(task.attempts))
        elif ended.verdict == "refused" and (refusals := self._refused(task)) < MOST_REFUSALS:
            self._retry(task, ended.reason, after=backoff(refusals or task.attempts))
        else:
            self._park(task, ended)

    def _stored(self, task: Task, ended: Ended, started: float) -> None:
        assert ended.upload is not None
        assert ended.sent is not None
        size, is_clip = ended.sent.bytes, ended.upload.event
        took, waited = ended.sent.transfer_us / 1e6, max(0.0, started - task.created)
        told = Step(
            name="upload",
            seconds=took,
            outcome="stored",
            clip=task.subject if is_clip else "",
            amount=size,
            waited=waited,
        )

        def recorded() -> None:
            self._meter.count(done=1, bytes=size)
            self._on_step(told)
            if is_clip:
                self._on_stored(size)

        self._outcomes.stored(task, ended.upload, ended.sent, started=started, recorded=recorded)
        if task.attempts > 1:
            self._forgive(task)
        if ended.upload.bytes > LARGE:
            # A multipart upload whose completion was not heard of is finished by other means.
            self._unfinished.give_up(self._store, task, ended.upload)

    def _refused(self, task: Task) -> int:
        """How many refusals of a task there are with this one; where that cannot be written down, they begin anew."""
        try:
            return self._refusals.count(task)
        except OSError as error:
            _log.warning("the refusals of upload task %d cannot be counted: %s", task.id, error.strerror)
            return 0

    def _forgive(self, task: Task) -> None:
        # What stays belongs to a task that is done, and is swept when the next process begins.
        with contextlib.suppress(OSError):
            self._refusals.forget(task)

    def _retry(self, task: Task, reason: str, *, after: float) -> None:
        if self._outcomes.retried(task, reason, after=after):
            self._meter.count(retried=1)
            self._on_step(Step(name="upload", seconds=0.0, outcome="retried"))
        with self._changed:
            self._look_at = min(self._look_at, time.monotonic() + after)

    def _park(self, task: Task, ended: Ended) -> None:
        if self._outcomes.parked(task, ended.upload, ended.failure, ended.reason):
            self._meter.count(parked=1)
            self._on_step(Step(name="upload", seconds=0.0, outcome="parked", reason=ended.failure))
            self._forgive(task)
            if ended.upload is not None:
                self._unfinished.give_up(self._store, task, ended.upload)


def _kind(error: Exception) -> str:
    """What kind of error it is, in words without names: its code, or the system's word for it."""
    return str(getattr(error, "code", None) or getattr(error, "strerror", None) or type(error).__name__)
