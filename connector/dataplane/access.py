"""Who may use a data address: the process's consumer, with the secret it was given."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.metering import store as meter
from connector.offering import store as offerings
from connector.offering.model import Published
from connector.policy import store as decisions
from connector.policy.entitlement import Entitlement, compile_policy, needs_attested
from connector.policy.evaluate import Act, Decision, Epsilon, check_attested, evaluate
from connector.relation import store as relations
from connector.relation.model import Relation
from connector.relation.store import Licensed
from connector.runtime import Runtime
from connector.side import Side
from connector.statistics import store as statistics
from connector.transfer import store as transfers
from connector.transfer.machine import State
from connector.transfer.model import TransferProcess
from databank.kit.app import Caller
from databank.kit.db import UnitOfWork
from schemas.attested import Attested
from schemas.ids import ProcessId
from schemas.problem import ForbiddenError, NotAuthenticatedError, NotFoundError
from schemas.terms import Mode
from schemas.wire import Text


class PolicyDeniedError(ForbiddenError):
    """The agreed policy does not permit the act; nothing was metered."""

    slug = "policy-denied"
    title = Text(ko="이용 조건에 맞지 않습니다", en="The terms of use do not permit this")


@dataclass(frozen=True, slots=True)
class Standing:
    """What either side may end at any moment: the transfer process and the agreement."""

    is_started: bool
    is_terminated: bool


@dataclass(frozen=True, slots=True)
class Access:
    """A consumer at its data address."""

    process: TransferProcess
    agreement: Agreement
    entitlement: Entitlement
    licensed: Licensed

    @property
    def pid(self) -> ProcessId:
        """The supplier's pid of the process."""
        return self.process.pid

    @property
    def standing(self) -> Standing:
        """How process and agreement stood when they were loaded."""
        return Standing(self.process.state is State.STARTED, self.agreement.is_terminated)


def load(uow: UnitOfWork, pid: str, caller: Caller) -> Access:
    """Return what stands behind a data address.

    Raises:
        NotFoundError: There is no such address for this caller.
        NotAuthenticatedError: The access token is missing or not the current one.
    """
    process = transfers.get(uow, ProcessId(pid))
    is_theirs = process is not None and process.counterparty_id == caller.participant.id
    if process is None or not is_theirs or process.side is not Side.PROVIDER:
        raise _no_such_address()
    agreement = agreements.get(uow, process.agreement_id)
    published = offerings.get(uow, agreement.dataset_id) if agreement else None
    if agreement is None or published is None:
        raise _no_such_address()
    given = hashlib.sha256((caller.access_token or "").encode()).hexdigest()
    is_started = process.state is State.STARTED
    if is_started and not hmac.compare_digest(given, process.secret_sha256 or ""):
        raise NotAuthenticatedError(
            ko="접근 토큰이 맞지 않습니다. 전송의 새 데이터 주소를 쓰세요.",
            en="Wrong access token. Use the transfer process's current data address.",
        )
    entitlement = compile_policy(
        agreement.policy, consumer_id=agreement.consumer_id, agreed_at=agreement.agreed_at
    )
    licensed = _licensed(uow, published, entitlement.relation)
    return Access(process, agreement, entitlement, licensed)


def _no_such_address() -> NotFoundError:
    return NotFoundError(ko="그런 데이터 주소가 없습니다.", en="There is no such data address.")


def _licensed(uow: UnitOfWork, published: Published, relation: Relation) -> Licensed:
    """Return the file of the agreed terms, which need not be those that are offered now."""
    if Relation.of(published.terms) == relation:
        return Licensed(published.dataset, published.file_name)
    found = relations.get(uow, published.dataset.id, relation.sha256)
    if found is None:
        raise _no_such_address()
    return found


def decide(
    uow: UnitOfWork,
    runtime: Runtime,
    access: Access,
    mode: Mode,
    *,
    act_id: str,
    rows: int | None = None,
    bytes_: int | None = None,
    queries: int = 0,
    epsilon: Epsilon | None = None,
) -> Decision:
    """Decide on an act as things stand in this transaction, and store the decision."""
    meter.stream(uow)  # the meter's lock comes first, so that totals do not move under us
    state = transfers.state(uow, access.pid)
    is_terminated = agreements.is_terminated(uow, access.agreement.id)
    if state is None or is_terminated is None:
        raise _no_such_address()
    taken = weigh(
        uow,
        runtime,
        access,
        mode,
        act_id=act_id,
        rows=rows,
        bytes_=bytes_,
        queries=queries,
        epsilon=epsilon,
        standing=Standing(state is State.STARTED, is_terminated),
    )
    decisions.put(uow, taken)
    return taken.decision


def weigh(
    uow: UnitOfWork,
    runtime: Runtime,
    access: Access,
    mode: Mode,
    *,
    act_id: str,
    rows: int | None = None,
    bytes_: int | None = None,
    queries: int = 0,
    epsilon: Epsilon | None = None,
    standing: Standing | None = None,
) -> decisions.Taken:
    """Decide on an act, store nothing; without ``standing``, as ``access`` was loaded just now."""
    now = runtime.clock()
    standing = standing or access.standing
    act = Act(
        mode=mode,
        consumer_id=access.agreement.consumer_id,
        queries=queries,
        rows=rows,
        bytes=bytes_,
        is_other_statistics=_is_other_statistics(uow, access),
        is_agreement_terminated=standing.is_terminated,
        is_process_started=standing.is_started,
        epsilon=epsilon,
        attested=attested_of(runtime, access),
    )
    used = meter.total(uow, access.agreement.id).usage
    decision = evaluate(access.entitlement, act, used, now)
    return decisions.Taken(
        runtime.make_id(), act_id, access.agreement.id, act, decision, decided_at=now
    )


def _is_other_statistics(uow: UnitOfWork, access: Access) -> bool:
    licence = access.entitlement.statistics
    if licence is None:
        return False
    known = statistics.basis(uow, access.agreement.dataset_id)
    return known not in {None, licence.basis_sha256}


def attested_of(runtime: Runtime, access: Access, *, is_under_way: bool = False) -> Attested | None:
    """Return what is attested of the consumer, where the terms ask for it; None if unverified."""
    if not needs_attested(access.entitlement):
        return None
    consumer_id = access.agreement.consumer_id
    return runtime.verifier.attested(consumer_id, is_under_way=is_under_way)


def is_open(uow: UnitOfWork, runtime: Runtime, access: Access) -> bool:
    """Whether a stream under way may go on."""
    now = runtime.clock()
    if needs_attested(access.entitlement):
        attested = attested_of(runtime, access, is_under_way=True)
        if check_attested(access.entitlement, attested) is not None:
            return False
    process = transfers.get(uow, access.pid)
    agreement = agreements.get(uow, access.agreement.id)
    ends_at = access.entitlement.ends_at
    return (
        process is not None
        and process.state is State.STARTED
        and agreement is not None
        and not agreement.is_terminated
        and (ends_at is None or now <= ends_at)
    )


def denied(decision: Decision) -> PolicyDeniedError:
    """Return a denial as what the consumer sees."""
    return PolicyDeniedError(ko=decision.reason.ko, en=decision.reason.en, code=decision.code.value)
