"""The thread that keeps our membership credential valid, and finishes key rotations.

It asks the broker once we have joined, again before the credential ends, when the broker offers
a new one, and when our own check says that others would refuse what we hold.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

import structlog

from connector.identity import store
from connector.identity.model import Asked, Held
from connector.identity.rotation import finish_rotation
from connector.identity.service import metadata_of
from connector.runtime import Runtime
from databank.kit.clock import new_urn
from databank.kit.resolver import UnreachableError, unavailable
from schemas.dcp.credential import MEMBERSHIP
from schemas.dcp.did import ServiceType
from schemas.dcp.error import DcpError
from schemas.dcp.message import CredentialRef, CredentialRequestMessage, Profile, RequestStatus
from schemas.ids import ParticipantId, did_web
from schemas.participant import Status
from schemas.problem import ProblemError

PATIENCE: Final = timedelta(seconds=15)  # for the answer to a request
CHECK_SECONDS: Final = 60.0
WAITING_SECONDS: Final = 2.0
ABSENT_SECONDS: Final = 5.0
log = structlog.get_logger()


class Keeper:
    """Keeps one connector's credential until stopped."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="identity-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the present round, then return."""
        self._stop.set()
        self._runtime.standing.give()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = self._runtime.standing.count
            try:
                pause = self._round()
            except ProblemError as error:
                log.warning("membership_not_renewed", reason=error.detail.en)
                pause = ABSENT_SECONDS
            except Exception:  # the loop outlives whatever goes wrong in one round
                log.exception("membership_round_failed")
                pause = ABSENT_SECONDS
            self._runtime.standing.wait(seen, pause)

    def _round(self) -> float:
        """Do what is due; return how long nothing else is, in seconds."""
        runtime = self._runtime
        try:
            finish_rotation(runtime)
        except ProblemError as error:  # the credential must not wait for it
            log.warning("rotation_not_finished", reason=error.detail.en)
        if not runtime.settings.shows_credentials:
            return CHECK_SECONDS
        own = runtime.directory.find(runtime.did)
        if own is None or own.status is not Status.ACTIVE:
            return ABSENT_SECONDS
        issuer, now = did_web(runtime.settings.broker_url), runtime.clock()
        with runtime.database.unit_of_work() as uow:
            held, asked = store.membership(uow, issuer, now), store.latest_request(uow)
        if held is not None and self._is_good(held):
            return CHECK_SECONDS
        is_open = asked is not None and asked.status is RequestStatus.RECEIVED
        if asked is not None and is_open and now - asked.asked_at < PATIENCE:
            return WAITING_SECONDS
        self._ask(issuer)
        return WAITING_SECONDS

    def _is_good(self, held: Held) -> bool:
        if held.is_due(self._runtime.clock()):
            return False
        try:
            self._runtime.verifier.check_own(held.payload)
        except UnreachableError:
            return True  # nothing speaks against it
        except DcpError as error:
            log.warning("own_credential_refused", reason=str(error))
            return False
        return True

    def _ask(self, issuer: ParticipantId) -> None:
        runtime = self._runtime
        wanted = next(
            (
                one
                for one in metadata_of(runtime, issuer).credentials_supported
                if one.credential_type == MEMBERSHIP and one.profile == Profile.VC11.value
            ),
            None,
        )
        if wanted is None:
            log.warning("membership_not_issued", issuer_id=issuer)
            return
        asked = Asked(new_urn(), issuer, RequestStatus.RECEIVED, runtime.clock())
        with runtime.database.unit_of_work() as uow:
            store.note_request(uow, asked)
        message = CredentialRequestMessage(
            holder_pid=asked.holder_pid, credentials=(CredentialRef(id=wanted.id),)
        )
        try:
            service = runtime.resolver.endpoint(issuer, ServiceType.ISSUER)
        except UnreachableError as error:
            raise unavailable(error) from None
        answer = runtime.client.call(
            "POST", f"{service}/credentials", audience=issuer, json=message.to_json()
        )
        if not answer.is_success:
            log.warning("membership_request_refused", status=answer.status_code)
            with runtime.database.unit_of_work() as uow:
                store.set_request_status(uow, asked.holder_pid, RequestStatus.REJECTED)


def wait_for_membership(runtime: Runtime, seconds: float) -> bool:
    """Return whether we hold a valid membership credential, once we do or after ``seconds``."""
    if not runtime.settings.shows_credentials:
        return True
    issuer, deadline = did_web(runtime.settings.broker_url), time.monotonic() + seconds
    while True:
        seen = runtime.credentials.count
        with runtime.database.unit_of_work() as uow:
            if store.membership(uow, issuer, runtime.clock()) is not None:
                return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        runtime.credentials.wait(seen, left)
