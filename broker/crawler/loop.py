"""The thread that crawls whoever is due, several sources at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import structlog

from broker.crawler import store
from broker.crawler.plan import due
from broker.registry import store as registry_store
from databank.kit.clock import Clock
from databank.kit.db import Database
from databank.kit.store import forget_expired_tokens
from schemas.ids import ParticipantId
from schemas.participant import Role

TICK_SECONDS: Final = 0.5
JOIN_SECONDS_MAX: Final = 5.0
log = structlog.get_logger()


class CrawlLoop:
    """Crawls due sources from ``start`` until ``stop``."""

    def __init__(
        self,
        crawl: Callable[[ParticipantId], None],
        *,
        database: Database,
        clock: Clock,
        interval: timedelta,
        parallel: int,
    ) -> None:
        self._crawl = crawl
        self._database = database
        self._clock = clock
        self._interval = interval
        self._parallel = parallel
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._under_way: set[ParticipantId] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="broker-crawler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look now for sources that are due."""
        self._wake.set()

    def stop(self) -> None:
        """End after the crawls under way, or without them if they take too long."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(JOIN_SECONDS_MAX)

    def _run(self) -> None:
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="broker-crawl")
        try:
            while not self._stopping.is_set():
                self._wake.wait(TICK_SECONDS)
                self._wake.clear()
                try:
                    self._submit_due(pool)
                except Exception:  # the loop outlives whatever goes wrong in one round
                    log.exception("crawl_round_failed")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit_due(self, pool: ThreadPoolExecutor) -> None:
        if self._stopping.is_set():
            return
        with self._database.unit_of_work() as uow:
            active = {one.id for one in registry_store.list_active(uow, Role.COMPANY)}
            sources = [one for one in store.list_all(uow) if one.participant_id in active]
            forget_expired_tokens(uow, self._clock())
        with self._lock:
            under_way = set(self._under_way)
        waiting = due(sources, now=self._clock(), interval=self._interval, under_way=under_way)
        for participant_id in waiting[: self._parallel - len(under_way)]:
            with self._lock:
                self._under_way.add(participant_id)
            pool.submit(self._crawl_one, participant_id)

    def _crawl_one(self, participant_id: ParticipantId) -> None:
        try:
            self._crawl(participant_id)
        except Exception:  # a bug in one crawl must not end the others
            log.exception("crawl_broke", participant_id=participant_id)
        finally:
            with self._lock:
                self._under_way.discard(participant_id)
            self._wake.set()
