"""The threads that deliver what the outbox holds, several processes at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from connector.outbox.courier import Courier
from connector.outbox.model import QueuedMessage
from connector.runtime import Runtime

SENDERS: Final = 4
ERROR_SECONDS: Final = 1.0
log = structlog.get_logger()


class Dispatcher:
    """Delivers one connector's outbox until stopped."""

    def __init__(self, runtime: Runtime, courier: Courier) -> None:
        self._runtime = runtime
        self._courier = courier
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="outbox-send")
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent, then return."""
        self._stop.set()
        self._runtime.outbox.give()
        self._thread.join()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = self._runtime.outbox.count
            try:
                due, wait = self._courier.take()
                for queued in due:
                    self._pool.submit(self._deliver, queued)
            except Exception:  # the loop must outlive a database that is away for a moment
                log.exception("outbox_look_failed")
                wait = ERROR_SECONDS
            self._runtime.outbox.wait(seen, wait)

    def _deliver(self, queued: QueuedMessage) -> None:
        try:
            self._courier.deliver(queued)
        except Exception:
            log.exception("outbox_delivery_failed", kind=queued.message.kind.value)
            self._stop.wait(ERROR_SECONDS)
        finally:
            self._runtime.outbox.give()
