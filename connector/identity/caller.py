"""Who calls one of our protocol routes: the registry's word, or a verified membership."""

from __future__ import annotations

from fastapi import Request

from connector.runtime import get_runtime
from databank.kit.app import bearer, identify
from databank.kit.holder import refused
from databank.kit.store import was_used
from schemas.participant import Participant
from schemas.token import Claims


def verify_caller(request: Request) -> tuple[Participant, Claims]:
    """Return the calling participant and its token, which is not consumed yet.

    Raises:
        NotAuthenticatedError: It is not, or has not shown to be, a member.
        RemoteUnavailableError: That cannot be checked now.
    """
    runtime = get_runtime(request)
    if not runtime.settings.shows_credentials:
        return identify(request)
    claims = runtime.verifier.check_token(bearer(request))
    with runtime.database.unit_of_work() as uow:
        if was_used(uow, claims):  # a replay must not cost a round trip
            raise refused("this token was used before")
    runtime.verifier.require_membership(claims)
    participant = runtime.directory.find(claims.issuer)
    if participant is None:  # contracts are delivered and settled between registered ones
        raise refused(f"{claims.issuer} is not registered at our broker")
    return participant, claims
