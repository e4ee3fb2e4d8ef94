"""Participants and how they join (broker API)."""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from schemas.ids import HANDLE, ParticipantId, did_web, parse_brn
from schemas.signature import KEY_FRAGMENT, PublicKey
from schemas.sql_words import check_sql_name
from schemas.wire import OwnWire, Time


def _one_line(text: str) -> str:
    if any(unicodedata.category(char).startswith("C") for char in text):
        raise ValueError("a name has no control, formatting or direction characters")
    return text.strip()


def _service_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or ":" in parts.hostname:
        raise ValueError("a connector is reached at an http(s) URL with a host name")
    if parts.username is not None or parts.query or parts.fragment or not url.isascii():
        raise ValueError("a connector's URL has no user, query, fragment or non-ASCII characters")
    if parts.port == 0:
        raise ValueError("port 0 is not a port")
    return url.rstrip("/")


Brn = Annotated[str, AfterValidator(parse_brn)]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line)]
ServiceUrl = Annotated[str, Field(max_length=300), AfterValidator(_service_url)]
Handle = Annotated[str, StringConstraints(pattern=HANDLE.pattern)]
NewHandle = Annotated[Handle, AfterValidator(check_sql_name)]


class Role(StrEnum):
    """What a registered party runs."""

    COMPANY = "company"  # a connector: supplier, buyer, curator
    OPERATOR = "operator"  # broker, catalog, clearing


class Status(StrEnum):
    """Where a participant stands; only ``active`` ones are answered."""

    PENDING = "pending"
    ACTIVE = "active"
    REVOKED = "revoked"


class Jwk(OwnWire):
    """An Ed25519 public key (RFC 8037)."""

    kty: str = Field(default="OKP", pattern="^OKP$")
    crv: str = Field(default="Ed25519", pattern="^Ed25519$")
    x: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")


class JoinRequest(OwnWire):
    """Ask to be registered.

    The call's token must verify under ``jwk`` (proof of possession), and its issuer must be
    the did:web of ``connector_url``.
    """

    handle: NewHandle
    name: Name
    brn: Brn
    connector_url: ServiceUrl
    jwk: Jwk
    role: Role = Role.COMPANY

    @property
    def participant_id(self) -> ParticipantId:
        """The id that follows from the URL."""
        return did_web(self.connector_url)


class Participant(OwnWire):
    """A registered party; ``handle`` is its short name in SQL."""

    id: ParticipantId
    handle: Handle
    name: str
    brn: str
    connector_url: str
    jwk: Jwk
    role: Role
    status: Status
    registered_at: Time

    @property
    def key(self) -> PublicKey:
        """The key that this party's tokens and signatures verify under."""
        return PublicKey(f"{self.id}#{KEY_FRAGMENT}", self.jwk.to_json())

    @property
    def dsp_url(self) -> str:
        """Where this party's connector speaks DSP 2025-1."""
        return self.connector_url.rstrip("/") + "/dsp/2025-1"


class ParticipantList(OwnWire):
    """One page of participants, by registration."""

    participants: tuple[Participant, ...]


class RevocationNotice(OwnWire):
    """Broker to everyone: look this participant up again before you answer it."""

    participant_id: ParticipantId


class StatusChange(OwnWire):
    """The operator approves or revokes a participant, and says why."""

    participant_id: ParticipantId
    reason: str = Field(min_length=1, max_length=500)


class Rejection(OwnWire):
    """A dataset of a participant's catalog that was not listed."""

    dataset_id: str
    reason: str


class CrawlReport(OwnWire):
    """How crawling one participant's catalog goes; ``error`` is of the last crawl, if it failed."""

    participant_id: ParticipantId
    last_started_at: Time | None = None
    last_success_at: Time | None = None
    failures_count: int = 0
    error: str | None = None
    datasets_count: int = 0
    rejections: tuple[Rejection, ...] = ()


class CrawlList(OwnWire):
    """All sources of the federated catalog."""

    sources: tuple[CrawlReport, ...]


class FeedEntry(OwnWire):
    """One change of the federated catalog; ``listing`` is JSON of ``Listing`` or none if gone."""

    seq: int = Field(ge=1)
    provider_id: ParticipantId
    dataset_id: str
    listing: dict[str, object] | None = None


class Feed(OwnWire):
    """Changes after a sequence number, oldest first; ask again after ``last_seq``.

    A ``head_seq`` below what a follower has read means that the feed was begun anew.
    """

    entries: tuple[FeedEntry, ...]
    last_seq: int = Field(ge=0)
    head_seq: int = Field(ge=0)
