"""What the protocol needs of its tables, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.agreement import store as agreements
from connector.agreement.model import Agreement, End
from connector.dsp.redelivery import Seen, note, received_from
from connector.metering import store as meter
from connector.metering.store import HeldGrant
from connector.negotiation import store as negotiations
from connector.negotiation.machine import State
from connector.negotiation.model import Negotiation
from connector.outbox import store as outbox
from connector.outbox.model import Kind, OutgoingMessage
from connector.relation import store as relations
from connector.side import Side
from connector.statistics import store as statistics
from databank.kit.db import Database
from schemas.dataset import Column, ColumnType, Dataset, DatasetSchema, Domain, Industry
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.wire import Text

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
BUYER = ParticipantId("did:web:buyer")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate("connector")
    yield database
    database.close()


def negotiation(provider_pid: str, counterparty_id: ParticipantId = BUYER) -> Negotiation:
    return Negotiation(
        side=Side.PROVIDER,
        consumer_pid=ProcessId("urn:uuid:1"),
        provider_pid=ProcessId(provider_pid),
        counterparty_id=counterparty_id,
        peer_url="http://localhost:1/dsp/2025-1",
        dataset_id=DatasetId("d"),
        dataset_title="전력",
        offer={"@id": "o"},
        state=State.REQUESTED,
        updated_at=NOW,
    )


def test_a_consumer_has_one_negotiation_under_a_pid(database: Database) -> None:
    """The second of two equal requests does not break the transaction it stands in."""
    with database.unit_of_work() as uow:
        assert negotiations.add(uow, negotiation("a"))
    with database.unit_of_work() as uow:
        assert not negotiations.add(uow, negotiation("b"))
        assert negotiations.add(uow, negotiation("c", ParticipantId("did:web:other")))
    with database.unit_of_work() as uow:
        found = negotiations.by_consumer_pid(uow, ProcessId("urn:uuid:1"), BUYER)
        assert found == negotiation("a")


def test_a_repetition_is_told_from_the_same_words_said_anew(database: Database) -> None:
    pid = ProcessId("urn:uuid:1")
    first = received_from({"@id": "1", "a": 1}, b'{"@id":"1","a":1}')
    again = received_from({"@id": "2", "a": 1}, b'{"@id":"2","a":1}')
    bare = received_from({"b": 1}, b'{"b":1}')
    with database.unit_of_work() as uow:
        assert note(uow, pid, first) is Seen.NEW
        assert note(uow, pid, bare) is Seen.NEW
    with database.unit_of_work() as uow:
        assert note(uow, pid, first) is Seen.MESSAGE
        assert note(uow, pid, again) is Seen.CONTENT
        assert note(uow, pid, bare) is Seen.CONTENT
        assert note(uow, ProcessId("urn:uuid:2"), first) is Seen.NEW


def test_the_outbox_shows_the_first_of_each_process(database: Database) -> None:
    def queued(key: str, body: int) -> OutgoingMessage:
        return OutgoingMessage(Kind.TRANSFER, key, "http://x", "did:web:x", {"n": body})

    with database.unit_of_work() as uow:
        for key, n in (("a", 1), ("a", 2), ("b", 3)):
            outbox.append(uow, queued(key, n), NOW)
    with database.unit_of_work() as uow:
        heads = [q for q, _ in outbox.heads(uow, limit=10)]
        assert [q.message.body["n"] for q in heads] == [1, 3]
        outbox.postpone(uow, heads[0].id, NOW + timedelta(hours=1))
    with database.unit_of_work() as uow:
        heads = [q for q, _ in outbox.heads(uow, limit=10)]
        assert [q.message.body["n"] for q in heads] == [3, 1]  # 2 waits behind 1
        assert heads[1].attempts_count == 1
        outbox.remove(uow, heads[1])
    with database.unit_of_work() as uow:
        assert [q.message.body["n"] for q, _ in outbox.heads(uow, limit=10)] == [2, 3]


def test_only_the_first_message_of_a_process_may_leave_at_once(database: Database) -> None:
    def queued(key: str, body: int) -> OutgoingMessage:
        return OutgoingMessage(Kind.TRANSFER, key, "http://x", "did:web:x", {"n": body})

    with database.unit_of_work() as uow:
        first = outbox.append(uow, queued("a", 1), NOW)
        assert first is not None
        assert outbox.append(uow, queued("a", 2), NOW) is None
        assert outbox.append(uow, queued("b", 3), NOW) is not None
    with database.unit_of_work() as uow:
        assert outbox.first_of(uow, "a") == (first, NOW)
        outbox.remove(uow, first)
        following = outbox.first_of(uow, "a")
        assert following is not None
        assert following[0].message.body == {"n": 2}
        assert outbox.first_of(uow, "c") is None


def test_cells_of_statistics_are_kept_once_and_for_good(database: Database) -> None:
    dataset = DatasetId("d")
    cells: list[statistics.Definition] = [{"region": ["서울"]}, {"region": [None], "월": ["3"]}]
    with database.unit_of_work() as uow:
        assert statistics.basis(uow, dataset) is None
        statistics.put_basis(uow, dataset, "b" * 64)
        statistics.put_cells(uow, dataset, "sum:kwh", cells[:1], act_id="first", now=NOW)
    with database.unit_of_work() as uow:
        statistics.put_cells(uow, dataset, "sum:kwh", cells, act_id="second", now=NOW)
        statistics.put_cells(uow, dataset, "count", cells[:1], act_id="second", now=NOW)
    with database.unit_of_work() as uow:
        assert statistics.basis(uow, dataset) == "b" * 64
        found = statistics.answered(uow, dataset, "sum:kwh")
        assert sorted(found, key=len) == cells
        assert statistics.answered(uow, dataset, "count") == cells[:1]
        assert statistics.answered(uow, DatasetId("other"), "count") == []


def test_a_relation_stays_as_it_was_first_offered(database: Database) -> None:
    column = Column(name="kwh", type=ColumnType.NUMBER, label=Text(ko="전력", en="power"))
    dataset = Dataset(
        id=DatasetId("d"),
        name="power",
        title=Text(ko="전력", en="power"),
        description=Text(ko="시험", en="test"),
        domain=Domain.PROCESS,
        industry=Industry.OTHER,
        schema_=DatasetSchema(columns=(column,)),
        rows_count=1,
        file_bytes=1,
        data_sha256="0" * 64,
        issued_at=NOW,
        modified_at=NOW,
    )
    first = relations.Licensed(dataset, "first.arrow")
    with database.unit_of_work() as uow:
        relations.put(uow, "r" * 64, first)
        relations.put(uow, "r" * 64, relations.Licensed(dataset, "second.arrow"))
    with database.unit_of_work() as uow:
        assert relations.get(uow, dataset.id, "r" * 64) == first
        assert relations.get(uow, dataset.id, "s" * 64) is None


@pytest.mark.parametrize(
    ("charge", "lasts", "left"),
    [(7, timedelta(seconds=1), 0), (8, timedelta(seconds=1), 7), (7, timedelta(0), 7)],
)
def test_a_grant_is_spent_only_within_its_amount_and_time(
    database: Database, charge: int, lasts: timedelta, left: int
) -> None:
    agreement = AgreementId("a")
    for expires_at, is_spent in ((NOW + lasts, left != 7), (None, False)):
        held = HeldGrant("g", 1, 9, 7, expires_at)
        with database.unit_of_work() as uow:
            meter.put_grant(uow, agreement, held)
        with database.unit_of_work() as uow:
            assert meter.spend_grant(uow, agreement, charge, expires_after=NOW) is is_spent
            assert not meter.spend_grant(uow, AgreementId("b"), charge, expires_after=NOW)
        with database.unit_of_work() as uow:
            found = meter.grant(uow, agreement)
            assert found == replace(held, remaining_micro=left if is_spent else 7)


@pytest.mark.parametrize("ends_in", [None, timedelta(days=1), timedelta(days=3)])
@pytest.mark.parametrize("ended_in", [None, timedelta(days=2)])
def test_how_an_agreement_stands_is_read_without_its_policy(
    database: Database, ends_in: timedelta | None, ended_in: timedelta | None
) -> None:
    agreement = Agreement(
        id=AgreementId("a"),
        side=Side.PROVIDER,
        provider_id=ParticipantId("did:web:supplier"),
        consumer_id=BUYER,
        dataset_id=DatasetId("d"),
        dataset_title="전력",
        policy={"@id": "a"},
        agreed_at=NOW,
        ends_at=None if ends_in is None else NOW + ends_in,
    )
    with database.unit_of_work() as uow:
        assert agreements.is_terminated(uow, agreement.id) is None
        agreements.put(uow, agreement)
        if ended_in is not None:
            agreements.put_end(uow, agreement.id, End(BUYER, "c", "r", NOW + ended_in))
    with database.unit_of_work() as uow:
        found = agreements.get(uow, agreement.id)
        assert found is not None
        assert agreements.is_terminated(uow, agreement.id) is found.is_terminated
