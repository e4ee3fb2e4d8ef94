"""Where this connector may send to: only where the registry says the counterparty lives.

Counterparties name URLs (callback addresses, data addresses). One is used only if its scheme,
host and port are those of the participant's registered connector, which makes server-side
request forgery by a chosen URL impossible.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from databank.kit.directory import Directory
from schemas.ids import ParticipantId
from schemas.participant import Status
from schemas.problem import ForbiddenError

_PORTS = {"http": 80, "https": 443}


class ForeignUrlError(ForbiddenError):
    """A counterparty named a URL that is not its own."""

    slug = "foreign-url"


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    try:
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port


def check_url(directory: Directory, url: str, owner: ParticipantId) -> None:
    """Let ``url`` pass if it is at the registered connector of ``owner``.

    Raises:
        ForeignUrlError: It is not, or ``owner`` is not an active participant.
    """
    participant = directory.find(owner)
    if participant is not None and participant.status is Status.ACTIVE:
        own = _origin(urlsplit(participant.connector_url))
        try:
            named = _origin(urlsplit(url))
        except ValueError:
            named = None
        if named is not None and named == own and "\\" not in url and "#" not in url:
            return
    raise ForeignUrlError(
        ko=f"{owner}의 등록된 주소가 아니어서 보내지 않습니다.",
        en=f"Not an address that {owner} has registered: nothing is sent there.",
    )
