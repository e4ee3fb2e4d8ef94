"""Commands of a negotiation: what people read, and what they are told when they err."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from databank.cli.program import run
from schemas.approval import Approval
from schemas.price import PriceComponent, PriceKind, PricePlan
from tests.support.connectors import Running, publish
from tests.support.haggling import ask, wait_for_turn

PLAN = PricePlan(components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=100_000_000),))


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


class Terminal(io.StringIO):
    """Standard input with a person in front of it."""

    def isatty(self) -> bool:
        return True


Command = Callable[..., Outcome]


@pytest.fixture
def databank(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a command as the people of ``who``; ``typed`` is what they answer."""

    def command(who: Running, *arguments: str, typed: str | None = None) -> Outcome:
        environment = {
            "DATABANK_URL": who.url,
            "DATABANK_TOKEN": who.app.state.context.admin_token,
            "HOME": str(tmp_path),
            "LANG": "ko_KR.UTF-8",
        }
        capsys.readouterr()
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdin", io.StringIO() if typed is None else Terminal(typed))
            code = run(arguments, environment)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return command


@pytest.fixture
def asked(buyer: Running, supplier: Running) -> str:
    """The buyer's request waits for the supplier's people; the buyer's pid."""
    published = publish(supplier.runtime, "energy", plan=PLAN)
    path = f"/publications/{published.dataset.id}"
    supplier.manage("PATCH", path, json={"approval": Approval.MANUAL.value})
    pid = ask(buyer, supplier, published, dataset_title="전력 사용량")
    wait_for_turn(supplier)
    return pid


def test_the_inbox_tells_who_waits_for_what_and_until_when(
    asked: str, supplier: Running, buyer: Running, databank: Command
) -> None:
    del asked
    shown = databank(supplier, "inbox")
    for word in ("buyer", "전력 사용량", "우리 차례", "KST"):
        assert word in shown.out
    assert "accept" in shown.err
    empty = databank(buyer, "inbox")
    assert (empty.code, "없습니다" in empty.err) == (0, True)


def test_a_person_sees_the_terms_before_they_bind(
    asked: str, supplier: Running, databank: Command
) -> None:
    del asked
    [waiting] = databank(supplier, "inbox", "--json").value
    end = waiting["pid"][-8:]
    left = databank(supplier, "accept", end, typed="n\n")
    assert left.code == 130
    assert "₩100" in left.out
    assert databank(supplier, "inbox", "--json").value
    accepted = databank(supplier, "accept", end, typed="y\n")
    assert accepted.code == 0
    assert databank(supplier, "inbox", "--json").value == []


def test_a_refusal_is_read_at_the_other_side(
    asked: str, supplier: Running, buyer: Running, databank: Command
) -> None:
    [waiting] = databank(supplier, "inbox", "--json").value
    said = ("--code", "price", "--reason", "100원은 너무 쌉니다")
    refused = databank(supplier, "refuse", waiting["pid"], *said)
    assert refused.code == 0
    seen = databank(buyer, "negotiation", asked, "--wait", "20")
    assert "요금이 맞지 않습니다: 100원은 너무 쌉니다" in seen.out
    english = databank(buyer, "negotiations", "--lang", "en")
    assert "The price does not suit" in english.out
    again = databank(supplier, "accept", waiting["pid"])
    assert (again.code, "끝난 협상" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--term", "days=0"), "greater than or equal to 1"),
        (("--term", "days=many"), "days=many"),
        (("--term", "until=soon"), "until=soon"),
        (("--price", "query=cheap"), "query=cheap"),
        (("--term", "color=red"), "modes"),
        (("--term", "modes="), "수락"),
        ((), "수락"),
    ],
)
def test_a_counter_that_says_nothing_right_is_refused_and_changes_nothing(
    arguments: tuple[str, ...],
    word: str,
    asked: str,
    supplier: Running,
    databank: Command,
) -> None:
    del asked
    [waiting] = databank(supplier, "inbox", "--json").value
    wrong = databank(supplier, "counter", waiting["pid"], *arguments)
    assert wrong.code != 0
    assert word in wrong.err
    assert databank(supplier, "inbox", "--json").value == [waiting]


def test_names_that_fit_nothing_or_too_much_are_said(
    asked: str, supplier: Running, databank: Command
) -> None:
    del asked
    for command in ("negotiation", "accept", "counter", "refuse", "terminate"):
        missing = databank(supplier, command, "zzzzzzzz")
        assert (missing.code, "없습니다" in missing.err) == (4, True), command
    assert databank(supplier, "refuse", "x", "--code", "mood").code != 0
