"""Forms of the desk with anything in them, sent by somebody who is signed in.

They are refused with a page: never an error of ours, and never an answer to the counterparty.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.approval import Approval
from schemas.refusal import RefusalCode
from schemas.terms import Terms
from tests.support.connectors import Registry, connector, publish
from tests.support.desk import Form, Person, signed_in
from tests.support.haggling import ask, inbox_of, listing_of, wait_for_turn
from tests.support.hostile import check_refusal, tally
from tests.support.portal import portal_with

EXAMPLES: Final = 1000 if os.environ.get("DATABANK_LONG_TESTS") else 40
ANSWERS: Final = ("counter", "refusal")
TYPED: Final = (
    st.text(max_size=30)
    | st.integers().map(str)
    | st.datetimes().map(lambda time: time.isoformat())
    | st.sampled_from(
        ["", "\0", "\ud800", "1e400", "₩5", "1,000", "yes", "query", "a" * 5000, "９"]
    )
    | st.sampled_from([code.value for code in RefusalCode])
)


@dataclass(frozen=True)
class Waiting:
    """Somebody before a proposal that waits, with its forms."""

    person: Person
    forms: dict[str, Form]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    folder, registry = tmp_path_factory.mktemp("sides"), Registry()
    with (
        connector(Path(folder, "supplier"), registry, "supplier") as supplier,
        connector(Path(folder, "buyer"), registry, "buyer") as buyer,
        signed_in(supplier) as person,
    ):
        published = publish(supplier.runtime, "energy", terms=Terms(valid_days=30))
        path = f"/publications/{published.dataset.id}"
        supplier.manage("PATCH", path, json={"approval": "manual"})
        ask(buyer, supplier, published)
        found = wait_for_turn(supplier)
        yield Waiting(person, person.look(f"/negotiations/{found['pid']}").forms)
        assert len(inbox_of(supplier)[0]["rounds"]) == 2, "something was answered"


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    """Somebody who types a proposal, and then is asked whether to send it."""
    folder, registry = tmp_path_factory.mktemp("beginning"), Registry()
    with connector(Path(folder, "supplier"), registry, "supplier") as supplier:
        published = publish(supplier.runtime, "energy", terms=Terms(valid_days=30))
        listing = listing_of(supplier, published, approval=Approval.MANUAL)
        with (
            portal_with(folder / "catalog", [listing]) as portal,
            connector(Path(folder, "buyer"), registry, "buyer", catalog_url=portal) as buyer,
            signed_in(buyer) as person,
        ):
            typing = person.look("/begin", params={"ref": published.dataset.id})
            asking = person.submit(typing, "confirmation", terms__valid_days="20")
            yield Waiting(person, {**typing.forms, **asking.forms})
            begun = buyer.manage("GET", "/negotiations").json()["negotiations"]
            assert begun == [], "something was asked for"


@pytest.mark.parametrize("name", ["confirmation", "begin"])
def test_whatever_is_typed_to_begin_is_answered_with_a_page(beginning: Waiting, name: str) -> None:
    form = beginning.forms[name]
    fields = [*(field for field in form.values if field not in {"csrf_token", "ref"}), "edit"]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(
        typed=st.dictionaries(st.sampled_from(fields), st.lists(TYPED, min_size=1, max_size=2)),
        pid=TYPED,
        ref=st.none() | TYPED,
    )
    def attack(typed: dict[str, list[str]], pid: str, ref: str | None) -> None:
        sent = {**form.values, **typed, "pid": [pid]}
        if ref is not None:
            sent["ref"] = [ref]
        answer = beginning.person.send(form.action, sent).answer
        check_refusal(answer)
        answers[answer.status_code] += 1
        assert answer.status_code in {200, 404, 409, 422}, answer.text
        assert answer.headers["content-type"].startswith("text/html")

    with tally(f"form {name}") as answers:
        attack()


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_stands_in_a_form_is_answered_with_a_page(waiting: Waiting, name: str) -> None:
    form = waiting.forms[name]
    fields = [*(field for field in form.values if field != "csrf_token"), "code", "other"]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(
        typed=st.dictionaries(st.sampled_from(fields), st.lists(TYPED, min_size=1, max_size=2)),
        seen=st.sampled_from(["1", "3", "99", "", "x"]),  # never as many as there are
    )
    def attack(typed: dict[str, list[str]], seen: str) -> None:
        sent = {**form.values, **typed, "rounds_count": [seen]}
        answer = waiting.person.send(form.action, sent).answer
        check_refusal(answer)
        answers[answer.status_code] += 1
        assert answer.status_code in {409, 422}, answer.text
        assert answer.headers["content-type"].startswith("text/html")

    with tally(f"form {name}") as answers:
        attack()
