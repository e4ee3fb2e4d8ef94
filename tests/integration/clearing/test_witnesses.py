"""A clearing service and the connectors that witness its log, all on real ports."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from clearing.bundle.verify import BadBundleError, verify_bundle
from clearing.settings import ClearingSettings
from databank.cli.program import run
from databank.kit.keys import load_or_make_key
from databank.up import listen
from schemas.bank import AgreementRecord
from schemas.ids import did_web
from schemas.merkle import nodes_over, prove_consistency, root_of
from schemas.note import (
    COSIGNATURE,
    Checkpoint,
    NoteKey,
    cosigned_at,
    open_checkpoint,
    sign_checkpoint,
    split_note,
)
from schemas.participant import Jwk, Participant, Role, Status
from schemas.witness import Submission, WitnessView
from tests.support.bank import (
    NOON,
    Bank,
    Company,
    FrozenClock,
    Meter,
    agreement,
    company,
    open_bank,
    plan,
)
from tests.support.connectors import Registry, Running, connector
from tests.support.registry import wait_until

OFTEN: Final = {"checkpoint_seconds": 0.05}


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Town:
    """Where clearing will be, and connectors that trust the key that it will have."""

    folder: Path
    port: int
    registry: Registry
    witnesses: list[Running]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(each.url for each in self.witnesses)

    @contextmanager
    def bank(self, **settings: object) -> Iterator[Bank]:
        url = f"sqlite:///{self.folder}/clearing/service.db"
        settings = {"witnesses": self.urls, **OFTEN, **settings}
        with open_bank(self.folder / "clearing", url, port=self.port, **settings) as bank:
            bank.registry.update(self.registry.participants)
            yield bank

    def view(self, number: int) -> WitnessView:
        answer = self.witnesses[number].manage("GET", "/witness")
        assert answer.status_code == 200, answer.text
        return WitnessView.model_validate(answer.json())

    def submit(self, number: int, body: str | bytes) -> tuple[int, str, str]:
        running = self.witnesses[number]
        content = body.encode() if isinstance(body, str) else body
        answer = running.http.post(f"{running.url}/witness/add-checkpoint", content=content)
        return answer.status_code, answer.headers["content-type"], answer.text


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    registry, port = Registry(), free_port()
    url = f"http://localhost:{port}"
    key = load_or_make_key(ClearingSettings(port=port, data_dir=tmp_path / "clearing"))
    registry.participants[did_web(url)] = Participant(
        id=did_web(url),
        handle="clearing",
        name="청산소",
        brn="1000000009",
        connector_url=url,
        jwk=Jwk.model_validate(key.public.jwk),
        role=Role.OPERATOR,
        status=Status.ACTIVE,
        registered_at=NOON,
    )
    with ExitStack() as stack:
        witnesses = [
            stack.enter_context(
                connector(tmp_path / name, registry, name, clock=FrozenClock(), clearing_url=url)
            )
            for name in ("one", "two")
        ]
        yield Town(tmp_path, port, registry, witnesses)


def count_of(bank: Bank) -> int:
    listed = bank.http.get(f"{bank.url}/log/witnesses").json()["witnesses"]
    return sum("key" in each for each in listed)


def deal(bank: Bank) -> tuple[Company, Company, AgreementRecord]:
    steel, curator = company("steel", "광양제철"), company("curator", "큐레이터")
    bank.join(steel, curator)
    told = agreement(steel, curator, plan(per_query=10))
    wait_until(lambda: count_of(bank) == 2, "both witnesses have answered")
    bank.agree(told, steel, curator)
    return steel, curator, told


def witnessed_size(bank: Bank) -> int:
    return int(bank.http.get(f"{bank.url}/log/witnesses").json()["witnessed_size"])


def log_key(bank: Bank) -> NoteKey:
    return NoteKey.parse(bank.http.get(f"{bank.url}/log/key").text.strip())


def test_connectors_cosign_and_a_bundle_carries_it(town: Town) -> None:
    with town.bank(witness_quorum=2) as bank:
        steel, curator, told = deal(bank)
        meter = Meter(steel)
        for _ in range(3):
            bank.send(steel, meter.batch([meter.record(told)]))
        bank.admin("POST", "/periods/2026-11/statements")
        wait_until(lambda: witnessed_size(bank) == 6, "both have cosigned all leaves")

        note = bank.http.get(f"{bank.url}/log/checkpoint/witnessed").text
        assert open_checkpoint(note, log_key(bank)).size == 6
        keys = [town.view(number).key for number in (0, 1)]
        for key in keys:
            assert cosigned_at(note, NoteKey.parse(key)) is not None
        listed = bank.http.get(f"{bank.url}/log/witnesses").json()["witnesses"]
        assert [(each["url"], each["key"], each["size"]) for each in listed] == [
            (url, key, 6) for url, key in zip(town.urls, keys, strict=True)
        ]

        content = bank.call(curator, "GET", "/statements/2026-11/bundle").content
        proven = verify_bundle(content, log_key=str(log_key(bank)), witness_keys=keys)
        assert [(each.key, each.is_key_given) for each in proven.witnesses] == [
            (key, True) for key in sorted(keys)
        ]
        stranger = NoteKey(NoteKey.parse(keys[0]).name, bytes(32), COSIGNATURE)
        with pytest.raises(BadBundleError):
            verify_bundle(content, witness_keys=[str(stranger)])
        for key in keys:  # every signature needs its own key
            other = str(NoteKey(NoteKey.parse(key).name, bytes(32), COSIGNATURE))
            with pytest.raises(BadBundleError):
                verify_bundle(content.replace(key.encode(), other.encode()))


def test_nothing_is_added_before_the_quorum_has_answered(town: Town) -> None:
    strangers = {each.runtime.did for each in town.witnesses}
    kept = {id_: town.registry.participants.pop(id_) for id_ in strangers}
    with town.bank(witness_quorum=1) as bank:
        steel, curator = company("steel", "광양제철"), company("curator", "큐레이터")
        bank.join(steel, curator)
        told = agreement(steel, curator, plan(per_query=10)).to_json()
        assert bank.call(steel, "POST", "/agreements", json=told).status_code == 200
        refused = bank.call(curator, "POST", "/agreements", json=told)
        assert (refused.status_code, refused.json()["type"]) == (
            503,
            "urn:idb:problem:log-not-witnessed",
        )
        assert refused.json()["retryable"] is True
        listed = bank.http.get(f"{bank.url}/log/witnesses").json()["witnesses"]
        assert {each["trouble"] for each in listed} == {"not an active participant"}
        assert bank.http.get(f"{bank.url}/log/checkpoint/witnessed").status_code == 404

        bank.registry.update(kept)
        wait_until(
            lambda: bank.call(curator, "POST", "/agreements", json=told).status_code == 200,
            "a witness has answered",
        )


def test_a_witness_that_has_not_joined_is_no_news_until_it_is_missed(town: Town) -> None:
    dids = {each.url.rstrip("/"): each.runtime.did for each in town.witnesses}
    late = town.registry.participants.pop(dids[town.urls[1]])

    def troubles(bank: Bank) -> list[str | None]:
        listed = bank.http.get(f"{bank.url}/log/witnesses").json()["witnesses"]
        return [each.get("trouble") for each in listed]

    def missed() -> set[str]:
        return {str(each["witness"]) for each in logged if each["log_level"] == "warning"}

    with capture_logs() as logged, town.bank() as bank:
        wait_until(lambda: troubles(bank) == [None, "not an active participant"], "one cosigns")
        assert not missed()
        bank.registry[late.id] = late
        wait_until(lambda: count_of(bank) == 2, "the other has joined, and cosigns")
        assert not missed()
        del bank.registry[late.id]
        steel, curator = company("steel", "광양제철"), company("curator", "큐레이터")
        bank.join(steel, curator)
        bank.agree(agreement(steel, curator, plan(per_query=10)), steel, curator)
        wait_until(lambda: missed() == {town.urls[1]}, "it is missed")


def test_the_log_waits_when_witnesses_stay_away_too_long(town: Town) -> None:
    with town.bank(witness_quorum=1, witness_grace_seconds=60) as bank:
        steel, curator, told = deal(bank)
        wait_until(lambda: witnessed_size(bank) == 1, "the seal is witnessed")
        gone = {each.runtime.did: bank.registry.pop(each.runtime.did) for each in town.witnesses}
        meter = Meter(steel)
        batches = [meter.batch([meter.record(told)]) for _ in range(3)]
        assert bank.send(steel, batches[0]).status_code == 200
        wait_until(lambda: _size(bank) == 2, "a checkpoint is signed")
        bank.clock.advance(seconds=59)
        assert bank.send(steel, batches[1]).status_code == 200
        bank.clock.advance(seconds=2)
        assert bank.send(steel, batches[2]).status_code == 503
        bank.deposit(curator, 1_000)
        refused = bank.grant(steel, told, minimum=10, wanted=100)  # it could not be booked
        assert refused.json()["type"] == "urn:idb:problem:log-not-witnessed"
        bank.registry.update(gone)
        wait_until(lambda: bank.send(steel, batches[2]).status_code == 200, "they are back")


def _size(bank: Bank) -> int:
    return open_checkpoint(bank.http.get(f"{bank.url}/log/checkpoint").text, log_key(bank)).size


def test_a_database_put_back_together_with_its_memory_is_found_out(town: Town) -> None:
    """What clearing cannot see alone: everything in its folder is older than what it signed."""
    folder, copy = town.folder / "clearing", town.folder / "copy"
    with town.bank(witness_quorum=1) as bank:
        steel, curator, told = deal(bank)
        wait_until(lambda: witnessed_size(bank) == 1, "the seal is witnessed")
    shutil.copytree(folder, copy)
    with town.bank(witness_quorum=1) as bank:
        bank.join(steel, curator)
        meter = Meter(steel)
        batch = meter.batch([meter.record(told)])
        wait_until(lambda: bank.send(steel, batch).status_code == 200, "a witness has answered")
        wait_until(lambda: witnessed_size(bank) == 2, "the receipt is witnessed")
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    with town.bank(witness_quorum=1) as bank:
        bank.join(steel, curator)
        wait_until(
            lambda: bank.http.get(f"{bank.url}/log/checkpoint").status_code == 503,
            "the witness shows what clearing has forgotten",
        )
        refused = bank.send(steel, batch)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:idb:problem:log-broken")


def command(running: Running, *words: str) -> str:
    out = io.StringIO()
    token = running.app.state.context.admin_token
    given = ["--connector", running.url, "--token", token, *words]
    with redirect_stdout(out):
        assert run(given, environment={}) == 0
    return out.getvalue()


LEAVES: Final = {name: [bytes([n, ord(name)] * 16) for n in range(9)] for name in "ab"}


def _signed(town: Town, tree: str, size: int, origin: str | None = None) -> str:
    key = load_or_make_key(ClearingSettings(port=town.port, data_dir=town.folder / "clearing"))
    name = origin or f"localhost:{town.port}/log"
    return sign_checkpoint(Checkpoint(name, size, root_of(LEAVES[tree][:size])), key)


def _proof(tree: str, old: int, new: int) -> tuple[bytes, ...]:
    return tuple(prove_consistency(old, new, nodes_over(LEAVES[tree])))


def test_a_witness_answers_as_c2sp_has_it(town: Town) -> None:
    first = Submission(0, (), _signed(town, "a", 4)).write()
    status, _, line = town.submit(0, first)
    assert status == 200
    key = NoteKey.parse(town.view(0).key)
    assert cosigned_at(_signed(town, "a", 4) + line, key) is not None
    sized = "text/x.tlog.size"
    for body, due in (
        (first, (409, sized, "4\n")),
        (Submission(3, _proof("a", 3, 6), _signed(town, "a", 6)).write(), (409, sized, "4\n")),
        (Submission(4, (), _signed(town, "b", 4)).write(), (409, sized, "4\n")),
    ):
        status, kind, text = town.submit(0, body)
        assert (status, kind.partition(";")[0], text) == due
    refusals: list[tuple[str | bytes, int]] = [
        (Submission(4, _proof("b", 4, 6), _signed(town, "b", 6)).write(), 422),
        (Submission(9, (), _signed(town, "a", 6)).write(), 400),
        (Submission(4, (), _signed(town, "a", 6, "other.example/log")).write(), 404),
        (Submission(4, (), _signed(town, "a", 6).replace("\n6\n", "\n7\n")).write(), 403),
        ("old 4", 400),
        (b"\xff\xfe", 400),
        ("", 400),
    ]
    for content, due_status in refusals:
        status, kind, text = town.submit(0, content)
        assert (status, kind.partition(";")[0]) == (due_status, "application/problem+json"), text
    grown = Submission(4, _proof("a", 4, 9), _signed(town, "a", 9)).write()
    assert town.submit(0, grown)[0] == 200
    assert town.submit(1, grown)[0] == 409  # which never saw it
    assert town.witnesses[0].http.get(f"{town.urls[0]}/witness/checkpoint").text == _signed(
        town, "a", 9
    )


def test_a_log_that_shows_two_trees_leaves_the_proof_with_its_witness(town: Town) -> None:
    town.submit(0, Submission(0, (), _signed(town, "a", 4)).write())
    assert town.view(0).log is not None
    town.submit(0, Submission(4, (), _signed(town, "b", 4)).write())
    town.submit(0, Submission(4, _proof("a", 4, 5), _signed(town, "a", 5)).write())
    seen = town.view(0).log
    assert seen is not None
    assert (seen.size, seen.contradiction) == (5, (_signed(town, "a", 4), _signed(town, "b", 4)))
    key = NoteKey.parse(seen.log_key)
    heads = [open_checkpoint(note, key) for note in seen.contradiction or ()]
    assert heads[0].size == heads[1].size
    assert heads[0].root != heads[1].root
    assert len(split_note(seen.checkpoint)[1]) == 1
    told, shown = command(town.witnesses[0], "witness"), town.view(0)
    assert shown.key in told
    assert "서로 다른 체크포인트" in told
    assert json.loads(command(town.witnesses[0], "witness", "--json")) == shown.to_json()
    assert "Nothing was cosigned yet" in command(town.witnesses[1], "witness", "--lang", "en")


def test_a_witness_with_another_time_is_not_listened_to(town: Town) -> None:
    late = town.witnesses[0].runtime.clock
    assert isinstance(late, FrozenClock)
    late.advance(days=36_500)
    with town.bank(witness_quorum=1) as bank:
        wait_until(lambda: count_of(bank) == 1, "the other one has answered")
        wait_until(
            lambda: any(
                each.get("trouble") == "the cosignature's time is not now"
                for each in bank.http.get(f"{bank.url}/log/witnesses").json()["witnesses"]
            ),
            "its time was noticed",
        )
        note = bank.http.get(f"{bank.url}/log/checkpoint/witnessed").text
        assert [name for name, _ in split_note(note)[1][1:]] == [f"{town.urls[1][7:]}/witness"]
