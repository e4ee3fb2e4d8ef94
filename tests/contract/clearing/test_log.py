"""The log over HTTP: tiles, checkpoints and proofs that a stranger can check."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from clearing.log.service import Log, LogBrokenError
from clearing.log.tiles import WIDTH
from clearing.settings import ClearingSettings
from databank.kit.clock import new_secret
from databank.kit.db import Database
from databank.kit.keys import load_or_make_key
from schemas.bank import AgreementRecord
from schemas.merkle import check_consistency, check_inclusion, leaf_hash, root_of
from schemas.note import Checkpoint, NoteKey, open_checkpoint, sign_checkpoint
from schemas.seal import log_entry
from schemas.signature import SigningKey, generate_key, peek_payload
from tests.support.bank import (
    NOON,
    Bank,
    Company,
    Meter,
    agreement,
    company,
    open_bank,
    plan,
)


@pytest.fixture
def told(bank: Bank, steel: Company, curator: Company) -> AgreementRecord:
    made = agreement(steel, curator, plan())
    bank.agree(made, steel, curator)
    return made


def key_of(bank: Bank) -> NoteKey:
    return NoteKey.parse(bank.http.get(f"{bank.url}/log/key").text.strip())


def head_of(bank: Bank) -> Checkpoint:
    note = bank.http.get(f"{bank.url}/log/checkpoint").text
    return open_checkpoint(note, key_of(bank))


def lines_of(body: str) -> list[bytes]:
    return [base64.b64decode(line) for line in body.splitlines()]


def test_a_receipt_points_to_its_leaf_which_anybody_can_prove(
    bank: Bank, steel: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    receipts = [
        bank.send(steel, meter.batch([meter.record(told)])).json()["receipt"] for _ in range(5)
    ]
    places = [peek_payload(receipt)["log_index"] for receipt in receipts]
    assert places == [1, 2, 3, 4, 5]  # the agreement's seal is leaf 0
    for receipt, place in zip(receipts, places, strict=True):
        proof = bank.http.get(f"{bank.url}/log/proofs/{place}").text
        head, _, note = proof.partition("\n\n")
        mark, index, *path = head.splitlines()
        assert (mark, index) == ("c2sp.org/tlog-proof@v1", f"index {place}")
        checkpoint = open_checkpoint(note, key_of(bank))
        check_inclusion(
            leaf_hash(log_entry(receipt)),
            place,
            size=checkpoint.size,
            root=checkpoint.root,
            proof=lines_of("\n".join(path)),
        )
    assert bank.http.get(f"{bank.url}/log/proofs/6").status_code == 404


def test_every_checkpoint_is_consistent_with_those_before(
    bank: Bank, steel: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    heads = [head_of(bank)]
    for count in (1, 2, 1, 3):
        for _ in range(count):
            bank.send(steel, meter.batch([meter.record(told)]))
        heads.append(head_of(bank))
    assert [head.size for head in heads] == [1, 2, 4, 5, 8]
    for old, new in pairwise(heads):
        path = bank.http.get(f"{bank.url}/log/consistency?old={old.size}&new={new.size}").text
        check_consistency(
            old=old.size,
            old_root=old.root,
            new=new.size,
            new_root=new.root,
            proof=lines_of(path),
        )
    assert bank.http.get(f"{bank.url}/log/consistency?old=1&new=9").status_code == 404
    assert bank.http.get(f"{bank.url}/log/consistency?old=2&new=1").status_code == 422


def test_the_tree_can_be_built_anew_from_its_tiles(
    bank: Bank, steel: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    for _ in range(4):
        bank.send(steel, meter.batch([meter.record(told)]))
    head = head_of(bank)
    tile = bank.http.get(f"{bank.url}/log/tile/0/000.p/{head.size}").content
    leaves = [tile[at : at + 32] for at in range(0, len(tile), 32)]
    assert root_of(leaves) == head.root
    entries = bank.http.get(f"{bank.url}/log/tile/entries/000.p/{head.size}").content
    assert [leaf_hash(entries[at + 2 : at + 34]) for at in range(0, len(entries), 34)] == leaves
    for name in ("0/000", "0/000.p/9", "0/001.p/1", "0/0", "1/000.p/1", "0/x000/000.p/1", "9/000"):
        assert bank.http.get(f"{bank.url}/log/tile/{name}").status_code in (404, 422), name


def open_log(folder: Path, key: SigningKey, database: Database) -> Log:
    log = Log(key, origin="test/log", memory=folder / "log-checkpoint", make_nonce=new_secret)
    with database.unit_of_work() as uow:
        log.open(uow)
    return log


def named(number: int) -> Callable[[int], str]:
    return lambda index: f"{number} at {index}"


def grow(log: Log, database: Database, count: int, *, start: int = 0) -> None:
    for number in range(start, start + count):
        with database.unit_of_work() as uow:
            log.append(uow, named(number))


def publish(log: Log, database: Database) -> Checkpoint:
    with database.unit_of_work() as uow:
        return open_checkpoint(log.publish(uow, now=NOON), log.key)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    made.migrate("clearing")
    yield made
    made.close()


def test_full_tiles_give_the_same_roots_and_proofs_as_all_leaves(
    database: Database, tmp_path: Path
) -> None:
    log = open_log(tmp_path, generate_key("did:web:test"), database)
    leaves: list[bytes] = []
    for size in (1, WIDTH, WIDTH + 1, 2 * WIDTH + 7):
        with database.unit_of_work() as uow:
            for number in range(len(leaves), size):
                log.append(uow, named(number))
                leaves.append(leaf_hash(log_entry(f"{number} at {number}")))
        assert publish(log, database) == Checkpoint("test/log", size, root_of(leaves))


def test_a_database_restored_from_an_older_copy_is_never_signed_over(
    tmp_path: Path,
) -> None:
    key, live = generate_key("did:web:test"), tmp_path / "live.db"
    database = Database(f"sqlite:///{live}")
    database.migrate("clearing")
    log = open_log(tmp_path, key, database)
    grow(log, database, 3)
    with sqlite3.connect(live) as source, sqlite3.connect(tmp_path / "copy.db") as copy:
        source.backup(copy)
    grow(log, database, 4, start=3)
    assert publish(log, database).size == 7

    old = Database(f"sqlite:///{tmp_path}/copy.db")
    for extra in (0, 4):  # as it was, and grown back by other leaves to the same size
        with old.unit_of_work() as uow:
            for number in range(extra):
                uow.run(text("UPDATE clearing_log_head SET size = size + 1"))
                row = {"i": 3 + number, "e": bytes(32)}
                uow.run(text("INSERT INTO clearing_log_leaf VALUES (:i, :e)"), **row)
        for restored in (log, open_log(tmp_path, key, old)):  # while running, and after a start
            with pytest.raises(LogBrokenError):
                publish(restored, old)
            with pytest.raises(LogBrokenError), old.unit_of_work() as uow:
                restored.append(uow, lambda _: pytest.fail("signed"))
        log = open_log(tmp_path, key, database)  # the newest copy goes on
        assert publish(log, database).size == 7
    old.close()
    database.close()


def test_a_checkpoint_of_another_log_stops_the_service(database: Database, tmp_path: Path) -> None:
    key = generate_key("did:web:test")
    other = sign_checkpoint(Checkpoint("other/log", 0, bytes(32)), key)
    for memory in (other, "noise"):
        (tmp_path / "log-checkpoint").write_text(memory, encoding="utf-8")
        log = open_log(tmp_path, key, database)
        with pytest.raises(LogBrokenError), database.unit_of_work() as uow:
            log.append(uow, lambda _: pytest.fail("signed"))


@pytest.mark.parametrize("change", [
    "UPDATE clearing_log_leaf SET idx = 9",
    "DELETE FROM clearing_log_leaf",
    "DELETE FROM clearing_checkpoint",
    "UPDATE clearing_log_head SET size = 0",
    "DELETE FROM clearing_log_head",
])  # fmt: skip
def test_the_database_refuses_to_change_the_log(
    database: Database, tmp_path: Path, change: str
) -> None:
    log = open_log(tmp_path, generate_key("did:web:test"), database)
    grow(log, database, 2)
    publish(log, database)
    with pytest.raises(DBAPIError), database.unit_of_work() as uow:
        uow.run(text(change))


def test_a_broken_log_refuses_everything_that_needs_a_leaf_and_still_answers(
    tmp_path: Path, database_url: str
) -> None:
    with open_bank(tmp_path, database_url) as bank:
        steel, curator = company("steel", "광양제철"), company("curator", "큐레이터")
        bank.join(steel, curator)
        told = agreement(steel, curator, plan())
        bank.agree(told, steel, curator)
        head = head_of(bank)
    ahead = Checkpoint(head.origin, head.size + 1, bytes(32))
    port = int(head.origin.removeprefix("localhost:").removesuffix("/log"))
    key = load_or_make_key(ClearingSettings(port=port, data_dir=tmp_path))
    memory = tmp_path / "log-checkpoint"
    assert memory.read_text(encoding="utf-8").startswith(head.text)
    memory.write_text(sign_checkpoint(ahead, key), encoding="utf-8")

    with open_bank(tmp_path, database_url, port=port) as bank:
        bank.join(steel, curator)
        meter = Meter(steel)
        refused = [
            bank.send(steel, meter.batch([meter.record(told)])),
            bank.http.get(f"{bank.url}/log/checkpoint"),
            bank.admin("POST", "/periods/2026-11/statements"),
        ]
        for answer in refused:
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:idb:problem:log-broken"
        assert bank.call(curator, "GET", "/balance").status_code == 200
