"""The thread that issues what was asked for and brings it to the holders."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from broker.membership import store
from broker.membership.model import (
    ATTEMPTS_MAX,
    SUPPORTED,
    Issuer,
    Request,
    membership_credential,
    next_attempt,
)
from broker.registry import store as registry_store
from databank.kit.clock import Clock
from databank.kit.db import Database
from databank.kit.http import RemoteRefusedError, ServiceClient, expect_json
from databank.kit.resolver import Resolver
from schemas.dcp.credential import issue_credential
from schemas.dcp.did import ServiceType
from schemas.dcp.error import DcpError
from schemas.dcp.message import CredentialContainer, CredentialMessage, Profile, RequestStatus
from schemas.participant import Status
from schemas.problem import RemoteUnavailableError

TICK_SECONDS: Final = 0.5
SENDERS: Final = 4
STOP_SECONDS_MAX: Final = 5.0
log = structlog.get_logger()


class Delivery:
    """Delivers credentials from ``start`` until ``stop``; at least once each."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        client: ServiceClient,
        resolver: Resolver,
        database: Database,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._resolver = resolver
        self._database = database
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="broker-issuer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look now for requests."""
        self._wake.set()

    def stop(self) -> None:
        """End after what is being delivered, or without it if that takes too long."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_SECONDS_MAX)

    def _run(self) -> None:
        pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="broker-issue")
        try:
            while not self._stopping.is_set():
                self._wake.wait(TICK_SECONDS)
                self._wake.clear()
                try:
                    self._submit_due(pool)
                except Exception:  # the loop outlives a database that is away for a moment
                    log.exception("issuing_round_failed")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit_due(self, pool: ThreadPoolExecutor) -> None:
        if self._stopping.is_set():
            return
        with self._database.unit_of_work() as uow:
            due = store.due_requests(uow, self._clock(), limit=SENDERS * 4)
        for request in due:
            with self._lock:
                if request.id in self._busy:
                    continue
                self._busy.add(request.id)
            pool.submit(self._deliver, request)

    def _deliver(self, request: Request) -> None:
        try:
            status = self._attempt(request)
            now = self._clock()
            with self._database.unit_of_work() as uow:
                next_at = next_attempt(request.attempts_count, now)
                store.settle(uow, request.id, status, next_at=next_at)
        except Exception:  # a bug in one delivery must not end the others
            log.exception("issuing_failed", holder_id=request.holder_id)
        finally:
            with self._lock:
                self._busy.discard(request.id)

    def _attempt(self, request: Request) -> RequestStatus:
        message = self._message(request)
        if message is None:
            return RequestStatus.REJECTED
        holder = request.holder_id
        try:
            service = self._resolver.endpoint(holder, ServiceType.CREDENTIAL)
            answer = self._client.call(
                "POST", f"{service}/credentials", audience=holder, json=message.to_json()
            )
            expect_json(answer)
        except (DcpError, RemoteRefusedError, RemoteUnavailableError) as error:
            reason = str(error)[:300]
            log.warning("credential_not_delivered", holder_id=holder, reason=reason)
            is_over = request.attempts_count + 1 >= ATTEMPTS_MAX
            return RequestStatus.REJECTED if is_over else RequestStatus.RECEIVED
        log.info("credential_issued", holder_id=holder)
        return RequestStatus.ISSUED

    def _message(self, request: Request) -> CredentialMessage | None:
        """Return the credentials asked for, none if the holder is not a member any more."""
        now = self._clock()
        with self._database.unit_of_work() as uow:
            participant = registry_store.find(uow, request.holder_id)
            if participant is None or participant.status is not Status.ACTIVE:
                return None
            membership = store.grant(uow, participant.id, now)
        containers = []
        for object_id in request.object_ids:
            supported = SUPPORTED[object_id]
            profile = Profile(supported.profile or Profile.VC11)
            credential = membership_credential(self._issuer, participant, membership, profile, now)
            payload = issue_credential(credential, key=self._client.identity.key, now=now)
            containers.append(
                CredentialContainer(
                    credential_type=supported.credential_type, payload=payload, format=profile.value
                )
            )
        return CredentialMessage(
            issuer_pid=request.id,
            holder_pid=request.holder_pid,
            status="ISSUED",
            credentials=tuple(containers),
        )
