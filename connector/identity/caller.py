"""Who calls one of our protocol routes: the registry's word, or a verified membership."""

from __future__ import annotations

from fastapi import Request

from connector.runtime import runtime_of
from databank.kit.app import bearer, identify
from databank.kit.holder import refused
from databank.kit.store import was_used
from schemas.ids import ParticipantId
from schemas.participant import Participant
from schemas.token import Claims, TokenError, claimed_issuer


def verify_caller(request: Request) -> tuple[Participant, Claims]:
    """Return the calling participant and its token, which is not consumed yet.

    Raises:
        NotAuthenticatedError: It is not, or has not shown to be, a member.
        RemoteUnavailableError: That cannot be checked now.
    """
    runtime = runtime_of(request)
    if not runtime.settings.shows_credentials:
        return identify(request)
    token = bearer(request)
    participant = runtime.directory.find(_issuer(token))
    if participant is None:  # before anything is fetched at a stranger's address
        raise refused("not registered at our broker: contracts are between registered ones")
    claims = runtime.verifier.check_token(token)
    if not runtime.verifier.believes(claims.issuer):
        with runtime.database.unit_of_work() as uow:
            if was_used(uow, claims):  # a replay must not cost a round trip
                raise refused("this token was used before")
    runtime.verifier.require_membership(claims)
    return participant, claims


def _issuer(token: str) -> ParticipantId:
    try:
        return claimed_issuer(token)
    except TokenError as error:
        raise refused(str(error)) from None
