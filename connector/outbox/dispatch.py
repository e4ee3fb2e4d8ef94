"""The threads that deliver what the outbox holds, several processes at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from connector.outbox.courier import HEADS_MAX, Courier
from connector.outbox.model import QueuedMessage
from connector.runtime import Runtime

SENDERS: Final = 4
LOOK_SECONDS: Final = 1.0
ERROR_SECONDS: Final = 1.0
log = structlog.get_logger()


class Dispatcher:
    """Delivers one connector's outbox until stopped.

    Whoever queues a message hands it over after its commit. The table is looked at for what
    was left by an earlier run, what is tried again, and what came while its process was busy.
    """

    def __init__(self, runtime: Runtime, courier: Courier) -> None:
        self._runtime = runtime
        self._courier = courier
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._ended: set[str] = set()  # since the last look began: what it has read of them is old
        self._has_missed = False  # something could not be taken: look again after the next end
        self._behind: set[str] = set()  # busy, and something was queued behind what is being sent
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="outbox-send")
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin delivering."""
        self._runtime.outbox.sender = self
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent, then return."""
        self._runtime.outbox.sender = None
        self._stop.set()
        self._runtime.outbox.give()
        self._thread.join()
        with self._lock:  # nobody is about to submit
            self._pool.shutdown(wait=False)
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = self._runtime.outbox.count
            try:
                wait = self._submit_due()
            except Exception:  # the loop must outlive a database that is away for a moment
                log.exception("outbox_look_failed")
                wait = ERROR_SECONDS
            self._runtime.outbox.wait(seen, wait)

    def _submit_due(self) -> float:
        """Hand due messages to the senders; return how long nothing else is due, in seconds."""
        with self._lock:
            self._ended.clear()
        heads = self._courier.heads()
        now, wait = self._runtime.clock(), LOOK_SECONDS
        for queued, next_at in heads:
            if next_at > now:
                wait = min(wait, (next_at - now).total_seconds())
                continue
            with self._lock:
                if queued.message.process_key in self._ended:
                    wait = 0.0
                else:
                    self._submit(queued)
        return wait

    def take(self, queued: QueuedMessage) -> bool:
        """Send a message soon; return False if its process is busy or too many are."""
        with self._lock:
            return self._submit(queued)

    def wait_behind(self, process_key: str) -> bool:
        """Send what waits behind a message that is being sent; return False if none is."""
        with self._lock:
            if process_key in self._busy:
                self._behind.add(process_key)
            return process_key in self._busy

    def _submit(self, queued: QueuedMessage) -> bool:
        key = queued.message.process_key
        if self._stop.is_set():
            return False
        if key in self._busy or len(self._busy) >= HEADS_MAX:
            self._has_missed = True
            return False
        self._busy.add(key)
        self._pool.submit(self._deliver, queued)
        return True

    def _deliver(self, queued: QueuedMessage) -> None:
        """Send a message, and those of its process that wait behind it."""
        following: QueuedMessage | None = queued
        key = queued.message.process_key
        try:
            while following is not None and not self._stop.is_set():
                outcome = self._courier.attempt(following)
                with self._lock:
                    self._behind.discard(key)  # settling finds what waits until now
                following = self._courier.settle(following, outcome)
        except Exception:
            log.exception("outbox_delivery_failed", kind=queued.message.kind.value)
            self._stop.wait(ERROR_SECONDS)
        finally:
            self._end(key)

    def _end(self, key: str) -> None:
        with self._lock:
            self._busy.discard(key)
            self._ended.add(key)
            is_wanted = self._has_missed and len(self._busy) <= HEADS_MAX // 2
            if is_wanted:
                self._has_missed = False
            is_wanted = is_wanted or key in self._behind
            self._behind.discard(key)
        if is_wanted:
            self._runtime.outbox.give()
