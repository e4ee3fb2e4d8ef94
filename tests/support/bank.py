"""A clearing service on a real port, and companies that deal with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from clearing.app import create_app
from clearing.settings import ClearingSettings
from databank.kit.clock import new_secret
from schemas.bank import AgreementRecord
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId, did_web
from schemas.participant import Jwk, Participant, Role, Status
from schemas.payout import officer_key_id
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.signature import SigningKey, generate_key
from schemas.slices import seal_batch, sign_batch
from schemas.token import issue
from schemas.usage import (
    ACKNOWLEDGEMENT_TYPE,
    FIRST_PREVIOUS_SHA256,
    HEADER,
    MEDIA_TYPE,
    Act,
    UsageRecord,
    sign_header,
)
from tests.support.migrated import with_tables
from tests.support.serve import serve

ADMIN: Final = "admin-token-of-the-tests"
NOON: Final = datetime(2026, 11, 24, 3, tzinfo=UTC)  # noon in Seoul
BROKER_URL: Final = "http://localhost:9"


OFFICERS: Final = {
    name: SigningKey(officer_key_id(name), generate_key(name).private_jwk)
    for name in ("kim", "lee", "park")
}


@dataclass
class FrozenClock:
    """A clock that moves when told."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass(frozen=True)
class Company:
    """A participant with its private key."""

    participant: Participant
    key: SigningKey

    @property
    def id(self) -> ParticipantId:
        return self.participant.id


def company(handle: str, name: str, *, url: str | None = None, brn: str = "1000000009") -> Company:
    """Make a company that the registry would know."""
    url = url or f"https://{handle}.example"
    did = did_web(url)
    key = generate_key(did)
    participant = Participant(
        id=did,
        handle=handle,
        name=name,
        brn=brn,
        connector_url=url,
        jwk=Jwk.model_validate(key.public.jwk),
        role=Role.COMPANY,
        status=Status.ACTIVE,
        registered_at=NOON,
    )
    return Company(participant, key)


def plan(**amounts_won: float) -> PricePlan:
    """Return a plan of amounts in won, for example ``plan(per_row=0.5)``."""
    return PricePlan(
        components=tuple(
            PriceComponent(kind=PriceKind(kind), amount_micro=round(amount * 1_000_000))
            for kind, amount in amounts_won.items()
        )
    )


def agreement(
    supplier: Company, buyer: Company, tariff: PricePlan, *, name: str = "one"
) -> AgreementRecord:
    """Return what both sides tell clearing."""
    return AgreementRecord(
        agreement_id=AgreementId(f"urn:agreement:{name}"),
        provider_id=supplier.id,
        consumer_id=buyer.id,
        dataset_id=DatasetId(f"urn:dataset:{name}"),
        dataset_title=f"데이터 {name}",
        plan=tariff,
        policy_sha256="0" * 64,
        agreed_at=NOON,
    )


@dataclass
class Meter:
    """A supplier's meter: makes records and batches as a connector does."""

    supplier: Company
    epoch: int = 1
    next_seq: int = 1
    previous: str = FIRST_PREVIOUS_SHA256

    def record(
        self,
        told: AgreementRecord,
        *,
        rows: int = 0,
        bytes_: int = 0,
        compute_ms: int = 0,
        at: datetime = NOON,
    ) -> UsageRecord:
        """Meter one query."""
        seq = self.next_seq
        self.next_seq += 1
        return UsageRecord(
            seq=seq,
            act_id=f"act-{seq}",
            act=Act.QUERY,
            agreement_id=told.agreement_id,
            process_id=ProcessId("urn:process:1"),
            consumer_id=told.consumer_id,
            dataset_id=told.dataset_id,
            rows_count=rows,
            bytes_count=bytes_,
            queries_count=1,
            result_sha256="0" * 64,
            occurred_at=at,
            compute_ms=compute_ms,
        )

    def batch(self, records: list[UsageRecord]) -> tuple[str, bytes]:
        """Sign records as the next batch of the chain."""
        jws, body = self.sign(records, previous=self.previous)
        self.previous = hashlib.sha256(body).hexdigest()
        return jws, body

    def sign(self, records: list[UsageRecord], *, previous: str) -> tuple[str, bytes]:
        """Sign records as a batch that follows ``previous``."""
        epoch, key = self.epoch, self.supplier.key
        return sign_batch(records, key, epoch=epoch, previous_sha256=previous)


class Receiver(Meter):
    """A buyer's meter: it signs acknowledgements."""

    def sign(self, records: list[UsageRecord], *, previous: str) -> tuple[str, bytes]:
        """Sign what was received as a batch that follows ``previous``."""
        header, body = seal_batch(
            records, provider_id=self.supplier.id, epoch=self.epoch, previous_sha256=previous
        )
        return sign_header(header, self.supplier.key, typ=ACKNOWLEDGEMENT_TYPE), body


@dataclass
class Bank:
    """A running clearing service, as its callers see it."""

    url: str
    clock: FrozenClock
    http: httpx.Client
    registry: dict[ParticipantId, Participant] = field(default_factory=dict)

    @property
    def did(self) -> ParticipantId:
        return did_web(self.url)

    def join(self, *companies: Company) -> None:
        """Put companies into the registry."""
        self.registry |= {each.id: each.participant for each in companies}

    def call(self, who: Company, method: str, path: str, **options: Any) -> httpx.Response:
        """Call as a participant."""
        token = issue(
            key=who.key, issuer=who.id, audience=self.did, now=self.clock(), jti=new_secret()
        )
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, **options)

    def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call as the operator."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        return self.http.request(method, self.url + path, headers=headers, **options)

    def agree(self, told: AgreementRecord, *parties: Company) -> None:
        """Let both sides tell an agreement."""
        for party in parties:
            answer = self.call(party, "POST", "/agreements", json=told.to_json())
            assert answer.status_code == 200, answer.text

    def deposit(self, who: Company, won: int, *, deposit_id: str = "bank-1") -> httpx.Response:
        """Book money that arrived."""
        body = {"deposit_id": deposit_id, "participant_id": who.id, "amount_won": str(won)}
        return self.admin("POST", "/deposits", json=body)

    def grant(
        self, who: Company, told: AgreementRecord, *, minimum: int, wanted: int, grant_id: str = "g"
    ) -> httpx.Response:
        """Ask for a hold, in won."""
        body = {
            "grant_id": grant_id,
            "agreement_id": told.agreement_id,
            "minimum_micro": str(minimum * 1_000_000),
            "wanted_micro": str(wanted * 1_000_000),
        }
        return self.call(who, "POST", "/grants", json=body)

    def send(self, who: Company, batch: tuple[str, bytes]) -> httpx.Response:
        """Send a usage batch."""
        headers = {HEADER: batch[0], "Content-Type": MEDIA_TYPE}
        return self.call(who, "POST", "/usage/batches", content=batch[1], headers=headers)

    def balance(self, who: Company) -> dict[str, int]:
        """Return the amounts of a balance."""
        answer = self.call(who, "GET", "/balance").json()
        return {k.removesuffix("_micro"): int(v) for k, v in answer.items() if k.endswith("_micro")}


@contextmanager
def open_bank(folder: Path, database_url: str, *, port: int = 0, **settings: Any) -> Iterator[Bank]:
    """Run a clearing service whose registry is a dictionary."""
    clock = FrozenClock()
    registry: dict[ParticipantId, Participant] = {}
    make = _maker(folder, database_url, clock, registry, settings)
    with serve(make, port=port) as url, httpx.Client(timeout=30) as http:
        yield Bank(url, clock, http, registry)


def _maker(
    folder: Path,
    database_url: str,
    clock: FrozenClock,
    registry: dict[ParticipantId, Participant],
    further: dict[str, Any] | None = None,
) -> Callable[[int], Any]:
    def make(port: int) -> Any:
        settings = ClearingSettings(
            port=port,
            data_dir=folder,
            database_url=database_url,
            admin_token=ADMIN,
            broker_url=BROKER_URL,
            registry_max_age_seconds=0,
            officers={name: key.public.jwk["x"] for name, key in OFFICERS.items()},
            **(further or {}),
        )
        with_tables("clearing", settings.database())
        return create_app(settings, clock=clock, lookup=registry.get)

    return make
