"""The protocol between two connectors survives everything: thousands of runs, one seed each.

``DATABANK_LONG_TESTS=1`` goes through thousands of seeds; else a bounded part.
``DATABANK_SIMULATION=transfer:103`` replays one run and prints its trace.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from connector.negotiation.decide import Move
from connector.outbox import store as outbox
from connector.outbox.model import BELIEVED_AFTER, Refused
from connector.side import Side
from connector.transfer.delivery import TransferDelivery
from tests.support.simchecks import check_end
from tests.support.simcompany import END, Change, Deal, change, negotiate, say, transfer
from tests.support.simulation import NO_FAULTS, Template, World, world

LONG: Final = bool(os.environ.get("DATABANK_LONG_TESTS"))
REPLAYED: Final = os.environ.get("DATABANK_SIMULATION", "transfer:1")
KINDS: Final = ("negotiation", "transfer")
CHUNK: Final = 100 if LONG else 30
# Pauses of both sides that crossed more than once ended in different states, or in one for ever.
CROSSED: Final = (495, 692)
CHUNKS: Final = 26 if LONG else 1
SUPPLIER, BUYER = Side.PROVIDER, Side.CONSUMER


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the log of thousands of refusals out of the report."""
    with capture_logs():
        yield


def run_one(kind: str, seed: int, template: Template, folder: Path) -> Counter[str]:
    """Go through one run; return what it ended in, and what happened on the way."""
    with world(seed, kind, template, folder) as run:
        try:
            run.run()
        except Exception as error:
            trace = "\n".join(run.trace)
            how = f"DATABANK_SIMULATION={kind}:{seed}"
            raise AssertionError(f"{trace}\n{error}\nreplay with {how}") from error
        rows = run.nodes[BUYER].rows(f"connector_{kind}")
        seen = Counter(row["state"] for row in rows)
        seen["killed"] = sum(node.lives for node in run.nodes.values())
        return seen


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_hold_the_same_once_the_faults_stop(
    template: Template, tmp_path: Path, kind: str, chunk: int
) -> None:
    seen: Counter[str] = Counter()
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        seen += run_one(kind, seed, template, tmp_path / str(seed))
    ends = {"negotiation": ("FINALIZED",), "transfer": ("STARTED", "SUSPENDED", "COMPLETED")}
    assert all(seen[state] for state in ("TERMINATED", "killed", *ends[kind])), seen


@pytest.mark.parametrize("seed", CROSSED)
def test_pauses_that_cross_more_than_once_lead_to_one_state(
    template: Template, tmp_path: Path, seed: int
) -> None:
    run_one("transfer", seed, template, tmp_path / "run")


def test_one_run_alone(
    template: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, seed = REPLAYED.split(":")
    with world(int(seed), kind, template, tmp_path / "run") as run:
        try:
            run.run()
        finally:
            assert run.trace
            if "DATABANK_SIMULATION" in os.environ:
                with capsys.disabled():
                    sys.stdout.write("\n".join(["", *run.trace, ""]))


def test_a_run_is_the_same_each_time(template: Template, tmp_path: Path) -> None:
    traces = []
    for _ in range(2):
        with world(7, "negotiation", template, tmp_path / "run") as run:
            run.run()
            traces.append(run.trace)
    assert traces[0] == traces[1]


# Each fault that the simulation has found, alone and without chance.


@pytest.fixture
def calm(template: Template, tmp_path: Path) -> Iterator[World]:
    """Two connectors whose companies say nothing unasked, and a network without faults."""
    with world(0, "scripted", template, tmp_path / "run") as run:
        run.faults, run.is_silent = NO_FAULTS, True
        yield run


def state(run: World, side: Side, table: str) -> str:
    [row] = run.nodes[side].rows(f"connector_{table}")
    return str(row["state"])


def pid(run: World, side: Side, table: str) -> str:
    [row] = run.nodes[side].rows(f"connector_{table}")
    return str(row["pid"])


def negotiated(run: World, *moves: tuple[Side, Deal]) -> None:
    """Begin a negotiation, and let the sides say and send one message after the other."""
    negotiate(run.nodes[BUYER], run.nodes[SUPPLIER], run.published)
    run.send(BUYER)
    for side, message in moves:
        said(run, side, message)
        run.send(side)


def said(run: World, side: Side, message: Deal) -> None:
    """Say something that is not sent yet."""
    move = END if message is Deal.TERMINATE else Move(message)
    assert say(run.nodes[side], pid(run, side, "negotiation"), move)


def started(run: World) -> None:
    """Begin a transfer process, and let it start."""
    transfer(run.nodes[BUYER], run.nodes[SUPPLIER])
    run.send(BUYER)
    changed(run, SUPPLIER, Change.START)
    run.send(SUPPLIER)


def changed(run: World, side: Side, message: Change) -> None:
    """Say something that is not sent yet."""
    assert change(run.nodes[side], pid(run, side, "transfer"), message)


def ended(run: World, table: str) -> tuple[str, str]:
    run.calm_down()
    check_end(run.nodes, run.clearing)
    return state(run, SUPPLIER, table), state(run, BUYER, table)


AGREED: Final = (
    (SUPPLIER, Deal.AGREE),
    (BUYER, Deal.VERIFY),
)


@pytest.mark.parametrize("first", [SUPPLIER, BUYER])
def test_a_termination_that_crosses_the_finalization_ends_both(calm: World, first: Side) -> None:
    """The supplier held FINALIZED and an agreement, the buyer TERMINATED and none."""
    negotiated(calm, *AGREED)
    said(calm, SUPPLIER, Deal.FINALIZE)
    said(calm, BUYER, Deal.TERMINATE)
    calm.send(first)
    assert first is SUPPLIER or state(calm, SUPPLIER, "negotiation") == "TERMINATED"
    assert ended(calm, "negotiation") == ("TERMINATED", "TERMINATED")
    [agreement] = [
        row
        for row in calm.nodes[SUPPLIER].rows("connector_agreement")
        if row["agreement_id"] != "urn:sim:agreement"
    ]
    assert agreement["ended_at"] is not None


def test_a_finalization_that_was_taken_stands(calm: World) -> None:
    negotiated(calm, *AGREED, (SUPPLIER, Deal.FINALIZE))
    assert say(calm.nodes[BUYER], pid(calm, BUYER, "negotiation"), END) is None
    assert ended(calm, "negotiation") == ("FINALIZED", "FINALIZED")


@pytest.mark.parametrize(
    ("ours", "theirs", "end"),
    [
        (Change.COMPLETE, Change.TERMINATE, "TERMINATED"),
        (Change.SUSPEND, Change.TERMINATE, "TERMINATED"),
        (Change.SUSPEND, Change.COMPLETE, "COMPLETED"),
        (Change.SUSPEND, Change.SUSPEND, "SUSPENDED"),
        (Change.COMPLETE, Change.COMPLETE, "COMPLETED"),
        (Change.TERMINATE, Change.TERMINATE, "TERMINATED"),
    ],
)
@pytest.mark.parametrize("sides", [(who, first) for who in Side for first in Side])
def test_transfer_messages_that_cross_lead_to_one_state(
    calm: World, sides: tuple[Side, Side], ours: Change, theirs: Change, end: str
) -> None:
    """Suspended met terminated, completed met terminated: one side gave up, the other stayed."""
    who, first = sides
    started(calm)
    changed(calm, who, ours)
    changed(calm, who.other, theirs)
    calm.send(first)
    assert ended(calm, "transfer") == (end, end)


@pytest.mark.parametrize("who", [SUPPLIER, BUYER])
def test_what_both_have_suspended_runs_once_both_have_resumed(calm: World, who: Side) -> None:
    """Whoever resumed first had lifted the other's pause with its own."""
    started(calm)
    for side in Side:
        changed(calm, side, Change.SUSPEND)
    assert ended(calm, "transfer") == ("SUSPENDED", "SUSPENDED")
    changed(calm, who, Change.START)
    assert ended(calm, "transfer") == ("SUSPENDED", "SUSPENDED")
    assert change(calm.nodes[who], pid(calm, who, "transfer"), Change.START) is None
    changed(calm, who.other, Change.START)
    assert ended(calm, "transfer") == ("STARTED", "STARTED")


def refused_pause(run: World, who: Side) -> bool:
    """Refuse our suspension as a counterparty does that is suspended; say if it is said again."""
    node = run.nodes[who]
    [ours] = node.due()
    refused = Refused("suspended already", "SUSPENDED", is_last=False)
    with node.runtime.database.unit_of_work() as uow:
        again = TransferDelivery().refused(uow, node.runtime, ours.message, refused)
        if not again:
            outbox.remove(uow, ours)
    return again


@pytest.mark.parametrize("who", [SUPPLIER, BUYER])
@pytest.mark.parametrize("is_heard", [True, False])
def test_a_pause_that_is_refused_is_kept(calm: World, who: Side, *, is_heard: bool) -> None:
    """A buyer refused its supplier's suspension, and so lifted it; suspended itself or not."""
    started(calm)
    changed(calm, who, Change.SUSPEND)
    if is_heard:
        changed(calm, who.other, Change.SUSPEND)
        calm.send(who.other)
    assert refused_pause(calm, who) is is_heard
    [row] = calm.nodes[who].rows("connector_transfer")
    pauses = {who, who.other} if is_heard else {who}
    assert (row["state"], set(row["suspended_by"].split())) == ("SUSPENDED", pauses)
    if not is_heard:  # it said that it holds what it does not hold
        return
    changed(calm, who.other, Change.START)
    calm.send(who.other)
    assert state(calm, who, "transfer") == "SUSPENDED"
    assert ended(calm, "transfer") == ("SUSPENDED", "SUSPENDED")
    changed(calm, who, Change.START)
    assert ended(calm, "transfer") == ("STARTED", "STARTED")


def test_the_newest_address_counts(calm: World) -> None:
    """The buyer had paused again when the address came that answered its first resumption."""
    started(calm)
    for message in (Change.SUSPEND, Change.START):
        changed(calm, BUYER, message)
        calm.send(BUYER)
    changed(calm, BUYER, Change.SUSPEND)
    changed(calm, BUYER, Change.START)
    calm.send(SUPPLIER)
    assert ended(calm, "transfer") == ("STARTED", "STARTED")


def test_the_newest_address_counts_after_pauses_that_crossed(calm: World) -> None:
    started(calm)
    for side in Side:
        changed(calm, side, Change.SUSPEND)
        changed(calm, side, Change.START)
    for _ in range(2):
        calm.send(SUPPLIER)
    supplier, buyer = ended(calm, "transfer")
    assert supplier == buyer


@pytest.mark.parametrize("is_delivered", [True, False])
def test_an_error_of_something_in_between_ends_nothing(calm: World, *, is_delivered: bool) -> None:
    """A proxy's 409 ended the process at one side, and the other waited for ever."""
    negotiate(calm.nodes[BUYER], calm.nodes[SUPPLIER], calm.published)
    calm.refuse_next(409, is_delivered=is_delivered)
    calm.send(BUYER)
    assert ended(calm, "negotiation") == ("REQUESTED", "REQUESTED")


def test_a_copy_that_arrives_first_does_not_end_what_it_began(calm: World) -> None:
    """The token counts once, so the original was answered 404, which was believed."""
    negotiate(calm.nodes[BUYER], calm.nodes[SUPPLIER], calm.published)
    calm.double_next()
    calm.send(BUYER)
    assert ended(calm, "negotiation") == ("REQUESTED", "REQUESTED")


def test_who_gives_up_tells_the_other_side(calm: World) -> None:
    """A side that had tried long enough ended its process, and the other never heard of it."""
    negotiated(calm, (SUPPLIER, Deal.AGREE))
    said(calm, BUYER, Deal.VERIFY)
    calm.part_for_hours(8)
    assert state(calm, BUYER, "negotiation") == "TERMINATED"
    assert ended(calm, "negotiation") == ("TERMINATED", "TERMINATED")


@pytest.mark.parametrize("is_ended_before", [True, False])
@pytest.mark.parametrize("table", ["negotiation", "transfer"])
def test_a_request_that_is_given_up_is_said_until_its_end_can_be_told(
    calm: World, table: str, *, is_ended_before: bool
) -> None:
    """The request was taken, its answer lost, and then something between refused it for good."""
    if table == "negotiation":
        negotiate(calm.nodes[BUYER], calm.nodes[SUPPLIER], calm.published)
    else:
        transfer(calm.nodes[BUYER], calm.nodes[SUPPLIER])
    calm.lose_next_answer()
    calm.send(BUYER)
    assert state(calm, SUPPLIER, table) == "REQUESTED"
    if is_ended_before and table == "negotiation":
        said(calm, BUYER, Deal.TERMINATE)
    elif is_ended_before:
        changed(calm, BUYER, Change.TERMINATE)
    for _ in range(BELIEVED_AFTER):
        calm.now += timedelta(minutes=1)
        calm.refuse_next(409, is_delivered=False)
        calm.send(BUYER)
    assert state(calm, BUYER, table) == "TERMINATED"
    assert ended(calm, table) == ("TERMINATED", "TERMINATED")


def test_nobody_says_anything_after_it_has_heard_the_end(calm: World) -> None:
    """What was queued before still went out, although the counterparty had terminated."""
    negotiated(calm)
    said(calm, SUPPLIER, Deal.AGREE)
    said(calm, BUYER, Deal.TERMINATE)
    calm.send(BUYER)
    assert calm.nodes[SUPPLIER].rows("connector_outbox") == []
    assert ended(calm, "negotiation") == ("TERMINATED", "TERMINATED")
