"""Only a counterparty's registered address is ever called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector.egress import ForeignUrlError, check_url
from databank.kit.directory import Directory
from schemas.ids import ParticipantId
from schemas.participant import Jwk, Participant, Role, Status

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OWNER = ParticipantId("did:web:supplier.example%3A8401")


def directory(status: Status = Status.ACTIVE) -> Directory:
    owner = Participant(
        id=OWNER,
        handle="supplier",
        name="supplier",
        brn="1208147521",
        connector_url="https://supplier.example:8401",
        jwk=Jwk(x="A" * 43),
        role=Role.COMPANY,
        status=status,
        registered_at=NOW,
    )
    known = {OWNER: owner}
    return Directory(known.get, clock=lambda: NOW, max_age_seconds=5, grace_seconds=5)


@pytest.mark.parametrize(
    "url",
    [
        "https://supplier.example:8401",
        "https://supplier.example:8401/dsp/2025-1/negotiations/request",
        "https://SUPPLIER.example:8401/x?y=z",
    ],
)
def test_the_registered_address_passes(url: str) -> None:
    check_url(directory(), url, OWNER)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://supplier.example:8401/",
        "https://supplier.example/",
        "https://supplier.example:8402/",
        "https://supplier.example:0/",
        "https://supplier.example:99999/",
        "https://169.254.169.254:8401/",
        "https://supplier.example.evil.test:8401/",
        "https://supplier.example:8401@evil.test/",
        "https://user:password@supplier.example:8401/",
        "https://supplier.example:8401\\@evil.test/",
        "https://evil.test/#https://supplier.example:8401/",
        "https://supplier.example:8401/#fragment",
        "//supplier.example:8401/",
        "file:///etc/passwd",
        "https://[::1/",
        "https://[::1]:8401/",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(ForeignUrlError):
        check_url(directory(), url, OWNER)


@pytest.mark.parametrize("status", [Status.PENDING, Status.REVOKED])
def test_nobody_who_is_not_active_is_called(status: Status) -> None:
    with pytest.raises(ForeignUrlError):
        check_url(directory(status), "https://supplier.example:8401/", OWNER)


def test_a_stranger_is_not_called() -> None:
    with pytest.raises(ForeignUrlError):
        check_url(directory(), "https://supplier.example:8401/", ParticipantId("did:web:x"))
