"""The thread that registers the catalog and follows the broker's feed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from catalog.index import client as broker
from catalog.index import service, store
from databank.kit.db import Database
from databank.kit.http import RemoteRefusedError, ServiceClient
from schemas.participant import JoinRequest
from schemas.problem import ProblemError

BACKOFF_SECONDS_MAX: Final = 30.0
BACKOFF_DOUBLINGS_MAX: Final = 5
JOIN_SECONDS_MAX: Final = 5.0
log = structlog.get_logger()


class Follower:
    """Follows from ``start`` until ``stop``, whatever goes wrong in between."""

    def __init__(
        self,
        client: ServiceClient,
        *,
        broker_url: str,
        request: JoinRequest,
        secret: str,
        database: Database,
        interval_seconds: float,
    ) -> None:
        self._client = client
        self._broker_url = broker_url
        self._request = request
        self._secret = secret
        self._database = database
        self._interval = interval_seconds
        self._is_registered = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalog-follower", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping.set()
        self._thread.join(JOIN_SECONDS_MAX)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            failures = 0 if self._survives(self._step) else failures + 1
            factor = 2 ** min(failures, BACKOFF_DOUBLINGS_MAX) if failures > 1 else 1
            self._stopping.wait(min(self._interval * factor, BACKOFF_SECONDS_MAX))

    def _survives(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except ProblemError as error:
            log.warning("feed_unread", broker_url=self._broker_url, error=error.detail.en)
        except Exception:  # the thread outlives whatever goes wrong in one step
            log.exception("feed_step_failed", broker_url=self._broker_url)
        else:
            return True
        return False

    def _step(self) -> None:
        if not self._is_registered:
            broker.join(self._client, self._broker_url, self._request, secret=self._secret)
            self._is_registered = True
        try:
            while not self._stopping.is_set() and self._take_page():
                pass
        except RemoteRefusedError:
            self._is_registered = False  # the broker may have forgotten us: join again
            raise

    def _take_page(self) -> bool:
        with self._database.unit_of_work() as uow:
            cursor = store.get_cursor(uow)
        feed = broker.read_feed(self._client, self._broker_url, after=cursor)
        if not feed.entries and feed.head_seq == cursor:
            return False
        with self._database.unit_of_work() as uow:
            return service.take(uow, feed)
