"""Who a caller is, shown by credentials (DCP 1.0.1, 4.3.3 and 5.4.3).

An ID token says which DID calls; the credentials that its credential service presents say that
a trusted issuer counts it as a member. The answer is believed for a bounded time, so that not
every message costs a round trip; ``forget`` ends that at once. Whatever cannot be verified is
refused, and the log says why.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from connector.identity.lists import StatusLists
from connector.identity.model import MEMBERSHIP_SCOPE
from databank.kit.clock import Clock
from databank.kit.holder import TokenCheck, refused
from databank.kit.http import ServiceClient
from databank.kit.resolver import FETCH_SECONDS_MAX, Resolver, UnreachableError, unavailable
from schemas.attested import Attested
from schemas.dcp.credential import (
    MEMBERSHIP,
    MEMBERSHIP_SCHEMA,
    Credential,
    CredentialError,
    check_credential,
    read_credential,
)
from schemas.dcp.did import Relationship, ServiceType
from schemas.dcp.error import DcpError
from schemas.dcp.jose import read_jwt, verify_jwt
from schemas.dcp.message import PresentationQueryMessage, PresentationResponseMessage
from schemas.dcp.presentation import CREDENTIALS_MAX, PresentationError, open_presentation
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.ids import ParticipantId
from schemas.problem import RemoteUnavailableError
from schemas.token import Claims

ANSWER_BYTES_MAX: Final = 2**20
MEMBERS_MAX: Final = 10_000
SERVER_ERROR: Final = 500
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Callers:
    """How the credential services of others are called."""

    registered: ServiceClient
    foreign: ServiceClient


@dataclass(frozen=True, slots=True)
class _Believed:
    """A membership that was shown: ``until`` without asking again, ``ends_at`` at the latest."""

    until: datetime
    ends_at: datetime
    attested: Attested


class Verifier:
    """Verifies callers; safe to use from several threads."""

    def __init__(
        self,
        own: ParticipantId,
        *,
        resolver: Resolver,
        lists: StatusLists,
        callers: Callers,
        trusted: frozenset[str],
        clock: Clock,
        max_age_seconds: float,
    ) -> None:
        self._own = own
        self._resolver = resolver
        self._lists = lists
        self._callers = callers
        self.trusted = trusted
        self._clock = clock
        self._max_age = timedelta(seconds=max_age_seconds)
        self._members: dict[ParticipantId, _Believed] = {}
        self._asking: dict[ParticipantId, threading.Lock] = {}
        self._lock = threading.Lock()
        self._generation = 0
        self.check_token = TokenCheck(own, resolver, clock)

    def require_membership(self, claims: Claims) -> None:
        """Let a caller pass whose membership a trusted issuer attests.

        The issuers themselves need no credential: it would be signed by their own key.

        Raises:
            NotAuthenticatedError: It cannot show that.
            RemoteUnavailableError: It may be able to, but something does not answer now.
        """
        holder = claims.issuer
        if holder in self.trusted:
            return
        if claims.access_token is None:
            raise refused("the ID token brings no token for the caller's credential service")
        with self._lock_of(holder):
            if self._is_member(holder):
                return
            generation = self._generation
            try:
                believed = self._ask(holder, claims.access_token)
            except (UnreachableError, RemoteUnavailableError) as error:
                log.warning("membership_not_checked", holder_id=holder, reason=str(error))
                if isinstance(error, RemoteUnavailableError):
                    raise
                raise unavailable(error) from None
            except DcpError as error:
                raise refused(f"membership of {holder}: {error}") from None
            with self._lock:
                if generation == self._generation:  # no notice came meanwhile
                    self._members[holder] = believed
        log.info("membership_verified", holder_id=holder)

    def believes(self, holder: ParticipantId) -> bool:
        """Whether ``require_membership`` would let this caller pass without asking anybody."""
        return holder in self.trusted or self._is_member(holder)

    def attested(self, holder: ParticipantId, *, is_under_way: bool = False) -> Attested | None:
        """Return what a verified credential of a participant attests; None if none is verified.

        Who has not shown it for ``max_age_seconds`` has to show it again, but for what
        ``is_under_way``: that goes on until the credential ends or a notice comes.
        """
        with self._lock:
            known = self._members.get(holder)
        if known is None:
            return None
        ends_at = known.ends_at if is_under_way else known.until
        return known.attested if self._clock() < ends_at else None

    def forget(self, holder: ParticipantId) -> None:
        """Verify a participant anew before it is answered."""
        self._lists.forget()
        self._resolver.forget(holder)
        with self._lock:
            self._generation += 1
            self._members.pop(holder, None)

    def check_own(self, payload: str) -> None:
        """Check a credential of ours as others would.

        Raises:
            DcpError: Others would refuse it.
            UnreachableError: Its status list cannot be had.
        """
        self._lists.check(self.verify_credential(payload, holder=self._own))

    def verify_credential(self, token: str, *, holder: ParticipantId) -> Credential:
        """Verify a credential but for its status.

        Raises:
            DcpError: Issuer, signature, holder, dates or schema are wrong.
        """
        jwt, credential = read_credential(token)
        if credential.issuer not in self.trusted:
            raise CredentialError(f"the issuer {credential.issuer} is not trusted"[:300])
        document = self._resolver.keys(ParticipantId(credential.issuer), jwt.kid)
        verify_jwt(jwt, document.key(jwt.kid, Relationship.ASSERTION))
        check_credential(credential, holder=holder, now=self._clock())
        return credential

    def _lock_of(self, holder: ParticipantId) -> threading.Lock:
        with self._lock:
            if len(self._asking) >= MEMBERS_MAX:
                self._asking.clear()
            return self._asking.setdefault(holder, threading.Lock())

    def _is_member(self, holder: ParticipantId) -> bool:
        with self._lock:
            if len(self._members) >= MEMBERS_MAX:
                self._members.clear()
            known = self._members.get(holder)
        return known is not None and self._clock() < known.until

    def _ask(self, holder: ParticipantId, access_token: str) -> _Believed:
        """Return what the holder shows, and until when it may be believed."""
        tokens: list[str] = []
        for presentation in self._presentations(holder, access_token):
            if not isinstance(presentation, str):
                raise PresentationError("only presentations as JWT are read")
            document = self._resolver.keys(holder, read_jwt(presentation).kid)
            tokens += open_presentation(
                presentation, document, verifier=self._own, now=self._clock()
            )
        if len(tokens) > CREDENTIALS_MAX:
            raise PresentationError(f"over {CREDENTIALS_MAX} credentials")
        until, ends_at = self._clock() + self._max_age, datetime.max.replace(tzinfo=UTC)
        is_member, attested = False, Attested()
        for token in tokens:
            if read_credential(token)[1].issuer not in self.trusted:
                continue  # says nothing that we rely on
            credential = self.verify_credential(token, holder=holder)
            self._lists.check(credential)
            ends_at = min(ends_at, credential.valid_until or ends_at)
            if MEMBERSHIP in credential.types and MEMBERSHIP_SCHEMA in credential.schemas:
                attested = attested.joined(Attested.of(credential.subject))
            is_member = is_member or MEMBERSHIP in credential.types
        if not is_member:
            raise PresentationError("no membership credential of a trusted issuer is presented")
        return _Believed(min(until, ends_at), ends_at, attested)

    def _presentations(self, holder: ParticipantId, access_token: str) -> tuple[object, ...]:
        url = f"{self._resolver.endpoint(holder, ServiceType.CREDENTIAL)}/presentations/query"
        client = self._callers.registered
        if not self._resolver.is_registered(holder):
            client = self._callers.foreign
        body, ends_at = bytearray(), time.monotonic() + FETCH_SECONDS_MAX
        message = PresentationQueryMessage(scope=(MEMBERSHIP_SCOPE,)).to_json()
        with client.stream(
            "POST", url, audience=holder, json=message, access_token=access_token
        ) as answer:
            if answer.status_code >= SERVER_ERROR:
                raise UnreachableError(f"{url} answers HTTP {answer.status_code}"[:300])
            for piece in answer.iter_raw():
                body += piece
                if len(body) > ANSWER_BYTES_MAX or time.monotonic() > ends_at:
                    raise PresentationError("the presentation is too large or too slow")
            if not answer.is_success:
                raise PresentationError(f"{url} answers HTTP {answer.status_code}"[:300])
        try:
            return PresentationResponseMessage.from_wire(parse_message(bytes(body))).presentation
        except (MalformedMessageError, ValidationError):
            raise PresentationError("the answer is not a PresentationResponseMessage") from None
