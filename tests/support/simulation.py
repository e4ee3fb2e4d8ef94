"""Two connectors and a network that loses, delays, doubles and refuses; one seed, one run.

Nothing sleeps and no thread runs: time is a number that the world moves. While a call is
under way, the world may go on (other messages, decisions, deaths), so anything can come
between any two steps. After ``STEPS`` events the faults stop, and the world goes on until
nothing is left to send.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.offering.model import Published
from connector.runtime import Deciders
from connector.side import Side
from schemas.ids import AgreementId, DatasetId, OfferId, ParticipantId
from schemas.wire import format_time
from tests.support import simcompany as company
from tests.support.connectors import NOW, Registry, publish
from tests.support.simchecks import AGREEMENT, TABLES, BrokenError, check_end, check_move
from tests.support.simnode import CLEARING, Ground, KilledError, Node

STEPS: Final = 45
CALM_ROUNDS_MAX: Final = 3000
DEPTH_MAX: Final = 3
ATTEMPTS_MAX: Final = 40
NAMES: Final = {Side.PROVIDER: "supplier", Side.CONSUMER: "buyer"}


@dataclass(frozen=True)
class Faults:
    """How often things go wrong, as shares of all calls; ``kill`` of all steps."""

    lost: float = 0.12
    unanswered: float = 0.12
    late: float = 0.08
    doubled: float = 0.08
    refused: float = 0.08
    kill: float = 0.06


NO_FAULTS: Final = Faults(0, 0, 0, 0, 0, 0)
REFUSALS: Final = ("refused before", "refused after")
STATUSES: Final = (500, 502, 503, 429, 409)


class World:
    """One run."""

    def __init__(self, seed: int, kind: str, template: Template, folder: Path) -> None:
        self.rng = random.Random(f"{kind}:{seed}")
        self.kind = kind
        self.now = NOW
        self.faults = Faults()
        self.is_calm = False
        self.is_silent = False  # scripted: the companies decide nothing by themselves
        self._next: tuple[str, int] | None = None
        self._status = 0
        self.trace: list[str] = []
        self.clearing: dict[str, dict[str, str]] = {}
        self._ids = 0
        self._depth = 0
        self._late: list[tuple[Node, httpx.Request]] = []
        self._acted_on: set[tuple[str, str]] = set()
        self._heard_end: set[tuple[str, str]] = set()
        self._states: dict[tuple[str, str], str] = {}
        deciders = Deciders(
            negotiation=company.Negotiator(self), transfer=company.Transferrer(self)
        )
        self.nodes = {
            side: Node(
                Ground(
                    name=name,
                    folder=template.copy(name, folder),
                    registry=template.registry,
                    clock=lambda: self.now,
                    make_id=self._make_id,
                    deciders=deciders,
                    transport=_Line(self, side),
                    attempts_max=ATTEMPTS_MAX,
                )
            )
            for side, name in NAMES.items()
        }
        self.published = template.published
        for node in self.nodes.values():
            node.open()

    def _make_id(self) -> str:
        self._ids += 1
        return f"urn:sim:{self._ids}"

    def note(self, text: str) -> None:
        """Write a line of the run's trace."""
        passed = (self.now - NOW).total_seconds()
        self.trace.append(f"{passed:10.1f} s {'  ' * self._depth}{text}")

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()

    def run(self) -> None:
        """Go through one run, and check what has to hold at its end."""
        self._begin()
        for _ in range(self.rng.randint(STEPS // 3, STEPS)):
            self._step()
        self.calm_down()
        check_end(self.nodes, self.clearing)

    def _begin(self) -> None:
        for _ in range(self.rng.choice((1, 1, 2))):
            self.as_node(Side.CONSUMER, self._ask)

    def calm_down(self) -> None:
        """Stop all faults, and go on until nothing is left to send."""
        self.note("-- the faults stop")
        self.faults, self.is_calm = NO_FAULTS, True
        for side, node in self.nodes.items():
            node.arm(None)
            self._reopen(side)
        for _ in range(CALM_ROUNDS_MAX):
            while self._late:
                self._deliver_late()
            for side in self.rng.sample(list(Side), 2):
                self.send(side)
            waiting = [row for node in self.nodes.values() for row in node.rows("connector_outbox")]
            if not waiting and not self._late:
                return
            self._advance_to(min(_time(row["next_at"]) for row in waiting) if waiting else self.now)
        raise BrokenError("messages are sent for ever")

    def _step(self) -> None:
        rng = self.rng
        draw = rng.random()
        side = rng.choice(list(Side))
        node = self.nodes[side]
        if not node.is_up:
            if draw < 0.5:
                self._reopen(side)
            return
        if draw < self.faults.kill:
            node.arm(rng.randint(0, 9))
        elif draw < 0.55:
            self.send(side)
        elif draw < 0.75:
            self._pass_time()
        elif draw < 0.85 and self._late:
            self._deliver_late()
        else:
            self.as_node(side, lambda: self._decide(side))

    def as_node(self, side: Side, act: Callable[[], None]) -> None:
        """Do something as a connector, which may die over it."""
        if not self.nodes[side].is_up:
            return
        self._depth += 1
        try:
            act()
        except KilledError:
            self.note(f"{NAMES[side]} was killed")
        finally:
            self._depth -= 1
        self.watch(side)

    def _reopen(self, side: Side) -> None:
        if not self.nodes[side].is_up:
            self.nodes[side].open()
            self.note(f"{NAMES[side]} is back")

    def _pass_time(self) -> None:
        seconds = self.rng.choice((0.1, 0.3, 1, 5, 30, 200, 2000))
        self.now += timedelta(seconds=seconds * (0.5 + self.rng.random()))

    def _advance_to(self, moment: datetime) -> None:
        self.now = max(self.now + timedelta(seconds=0.01), moment)

    def _ask(self) -> None:
        buyer, supplier = self.nodes[Side.CONSUMER], self.nodes[Side.PROVIDER]
        if self.kind == "transfer":
            self.note(f"buyer asks for a transfer process: {company.transfer(buyer, supplier)}")
        else:
            pid = company.negotiate(buyer, supplier, self.published)
            self.note(f"buyer begins negotiation {pid}")

    def _decide(self, side: Side) -> None:
        if self.kind == "transfer" and side is Side.CONSUMER and self.rng.random() < 0.2:
            self._ask()
            return
        said = company.decide(self.nodes[side], self.rng)
        if said is not None:
            self.note(f"{NAMES[side]} decides: {said}")

    def send(self, side: Side) -> None:
        """Let a connector send what is due."""
        self.as_node(side, lambda: self._pump(side))

    def _pump(self, side: Side) -> None:
        node = self.nodes[side]
        life, courier = node.lives, node.courier
        for queued in node.due():
            node.moment(life)
            courier.settle(queued, courier.attempt(queued))

    def carry(self, side: Side, request: httpx.Request) -> httpx.Response:
        """Bring a request to its receiver, or not; and the answer back, or not."""
        sender = self.nodes[side]
        life = sender.lives
        request.read()
        sender.moment(life)
        if str(request.url).startswith(CLEARING):
            return self._to_clearing(sender, request)
        label = f"{sender.name} -> {_label(request)}"
        self._check_sendable(sender, request)
        fault = self._fault()
        try:
            return self._carried(fault, side, request, label)
        finally:
            self._meanwhile()
            sender.moment(life)

    def lose_next_answer(self) -> None:
        """The next message arrives, and its sender does not hear of it."""
        self._next = ("unanswered", 0)

    def refuse_next(self, status: int, *, is_delivered: bool) -> None:
        """Something in between answers the next message, before or after it arrives."""
        self._next = ("refused after" if is_delivered else "refused before", status)

    def double_next(self) -> None:
        """The next message arrives twice; its sender hears what the second brought."""
        self._next = ("copied", 0)

    def part_for_hours(self, hours: int) -> None:
        """Let nothing through for so long."""
        self.faults = Faults(1, 0, 0, 0, 0, 0)
        until = self.now + timedelta(hours=hours)
        while self.now < until:
            for side in Side:
                self.send(side)
            self.now += timedelta(minutes=5)

    def _fault(self) -> str:
        if self._next is not None:
            planned, self._status = self._next
            self._next = None
            return planned
        draw, faults = self.rng.random(), self.faults
        for name in ("lost", "unanswered", "late", "doubled", "refused"):
            draw -= getattr(faults, name)
            if draw < 0:
                return name
        return "none"

    def _carried(
        self, fault: str, side: Side, request: httpx.Request, label: str
    ) -> httpx.Response:
        receiver = self.nodes[side.other]
        if fault == "lost":
            self.note(f"{label}: lost")
            raise httpx.ConnectTimeout("lost")
        if fault == "late":
            self.note(f"{label}: held up")
            self._late.append((receiver, request))
            raise httpx.ReadTimeout("late")
        if fault == "refused":
            fault, self._status = self.rng.choice(REFUSALS), self.rng.choice(STATUSES)
        if fault == "refused before":
            return self._error(label, "before")
        self._meanwhile()
        if fault == "doubled":
            fault = self.rng.choice(("copied", "none"))
            if fault == "none":
                self._late.append((receiver, request))
        if fault == "copied":
            self._arrive(receiver, request, f"{label} (a copy)")
        answer = self._arrive(receiver, request, label)
        if fault == "unanswered":
            self.note(f"{label}: the answer is lost")
            raise httpx.ReadTimeout("lost answer")
        if fault == "refused after":
            return self._error(label, "after")
        return answer

    def _error(self, label: str, when: str) -> httpx.Response:
        self.note(f"{label}: something between answers {self._status} ({when} delivery)")
        return httpx.Response(self._status, json={"title": "in between"})

    def _arrive(self, receiver: Node, request: httpx.Request, label: str) -> httpx.Response:
        if not receiver.is_up:
            self.note(f"{label}: nobody answers")
            raise httpx.ConnectError("down")
        body = json.loads(request.content) if request.content else {}
        key = (receiver.name, str(body.get("@id")))
        before = receiver.watched() if key in self._acted_on else None
        try:
            status, answer = receiver.serve(request)
        except KilledError:
            self.note(f"{label}: killed over it")
            raise httpx.RemoteProtocolError("killed") from None
        said = answer.get("state") or answer.get("reason") or ""
        self.note(f"{label}: {status} {said if status != 201 else answer.get('state', '')}")
        if status >= 500:
            raise BrokenError(f"{label}: {status} {answer}")
        if before is not None and receiver.watched() != before:
            raise BrokenError(f"{label}: it came before, and had a second effect")
        if body and status < 300:
            self._acted_on.add(key)
            self._note_end(receiver, body)
        self.watch(next(s for s in Side if self.nodes[s] is receiver))
        return httpx.Response(status, json=answer)

    def _note_end(self, receiver: Node, body: dict[str, str]) -> None:
        if "Termination" in body["@type"] or "Completion" in body["@type"]:
            is_buyer = receiver.name == NAMES[Side.CONSUMER]
            self._heard_end.add((receiver.name, body["consumerPid" if is_buyer else "providerPid"]))

    def _check_sendable(self, sender: Node, request: httpx.Request) -> None:
        """A side that has heard the end says nothing more."""
        if not request.content:
            return
        body = json.loads(request.content)
        is_buyer = sender.name == NAMES[Side.CONSUMER]
        own = body.get("consumerPid" if is_buyer else "providerPid")
        if (sender.name, own) in self._heard_end:
            raise BrokenError(f"{sender.name} sends {_label(request)} after it has heard the end")

    def _deliver_late(self) -> None:
        receiver, request = self._late.pop(self.rng.randrange(len(self._late)))
        try:
            self._arrive(receiver, request, f"late: {_label(request)}")
        except httpx.TransportError:
            return

    def _meanwhile(self) -> None:
        """Let other things happen before this one goes on."""
        while (
            self._depth < DEPTH_MAX
            and not (self.is_calm or self.is_silent)
            and self.rng.random() < 0.25
        ):
            self._depth += 1
            try:
                self._step()
            finally:
                self._depth -= 1

    def _to_clearing(self, sender: Node, request: httpx.Request) -> httpx.Response:
        if self._fault() in {"lost", "late"}:
            raise httpx.ConnectTimeout("lost")
        record = json.loads(request.content)
        told = self.clearing.setdefault(record["agreement_id"], {})
        text = request.content.decode()
        if told.setdefault(sender.name, text) != text:
            raise BrokenError("clearing is told two things")
        return httpx.Response(200, json={})

    def watch(self, side: Side) -> None:
        """See that states only move as the tables say."""
        node = self.nodes[side]
        for table, _, _ in TABLES:
            for row in node.rows(table):
                key = (node.name, row["pid"])
                check_move(table, row, self._states.get(key), node.name)
                self._states[key] = row["state"]


class _Line(httpx.BaseTransport):
    """What a connector's calls go out on."""

    def __init__(self, world: World, side: Side) -> None:
        self._world = world
        self._side = side

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._world.carry(self._side, request)


def _label(request: httpx.Request) -> str:
    path = request.url.path.removeprefix("/dsp/2025-1")
    if not request.content:
        return f"GET {path}"
    body = json.loads(request.content)
    kind = body.get("eventType") or body["@type"]
    return f"{kind} {path} {str(body.get('@id')).removeprefix('urn:sim:')}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NOW.tzinfo)


class Template:
    """Two connectors' folders as every run begins: keys, tables, a listing, an agreement."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.registry = Registry()
        nodes = {}
        for side, name in NAMES.items():
            ground = Ground(
                name=name,
                folder=folder / name,
                registry=self.registry,
                clock=lambda: NOW,
                make_id=lambda: "unused",
                deciders=Deciders(),
                transport=httpx.BaseTransport(),
                attempts_max=1,
            )
            nodes[side] = Node(ground)
            nodes[side].open()
            self.registry.add(nodes[side].runtime, name)
        provider = nodes[Side.PROVIDER].runtime
        self.published: Published = publish(
            provider,
            "energy",
            dataset_id=DatasetId("urn:sim:dataset"),
            offer_id=OfferId("urn:sim:o"),
        )
        for side, node in nodes.items():
            self._agree(node, side, provider.did, nodes[Side.CONSUMER].runtime.did)
            node.close()

    def _agree(
        self, node: Node, side: Side, provider_id: ParticipantId, consumer_id: ParticipantId
    ) -> None:
        policy = {
            **self.published.offer(),
            "@id": AGREEMENT,
            "@type": "Agreement",
            "target": self.published.dataset.id,
            "assigner": provider_id,
            "assignee": consumer_id,
            "timestamp": format_time(NOW),
        }
        agreement = Agreement(
            id=AgreementId(AGREEMENT),
            side=side,
            provider_id=provider_id,
            consumer_id=consumer_id,
            dataset_id=self.published.dataset.id,
            dataset_title="전력",
            policy=policy,
            agreed_at=NOW,
        )
        with node.runtime.database.unit_of_work() as uow:
            agreements.put(uow, agreement)

    def copy(self, name: str, folder: Path) -> Path:
        """Return a fresh copy of a connector's folder."""
        return Path(shutil.copytree(self._folder / name, folder / name))


@contextmanager
def world(seed: int, kind: str, template: Template, folder: Path) -> Iterator[World]:
    """Prepare one run; its folder is removed at the end."""
    run = World(seed, kind, template, folder)
    try:
        yield run
    finally:
        run.close()
        shutil.rmtree(folder)
