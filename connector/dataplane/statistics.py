"""Queries under a licence for statistics only: contributions in, audited or noisy cells out.

The history is read and written in the transaction that records the act, under the meter's
lock: of two queries at once the second is audited against the first. What is remembered is
what was recorded; a query that was not delivered leaves nothing behind. The budget of noisy
answers is spent by the same row that keeps the answer: an answer leaves only after it is spent.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from connector.dataplane.access import Access
from connector.dataplane.gate import GateError
from connector.dataplane.pool import QueryRefusedError, Result, result_of
from connector.metering import store as meter
from connector.policy.evaluate import Epsilon
from connector.runtime import Runtime
from connector.statistics import store
from connector.statistics.answer import Answer, Atoms, answer
from connector.statistics.private import (
    Contributions,
    PrivateRules,
    Public,
    noisy,
    questions_of,
    step_of,
    table_of,
)
from connector.statistics.request import REQUEST_KEY, Request, Scope
from databank.kit.db import UnitOfWork
from schemas.dataset import ColumnType
from schemas.terms import Operator

NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL})


@dataclass(frozen=True, slots=True)
class Release:
    """What may leave, and what is to be remembered once it is recorded."""

    result: Result
    answer: Answer | None = None  # audited
    private: list[store.PrivateAnswer] = field(default_factory=list)  # new ones, not yet spent
    epsilon: Epsilon | None = None


def scope_of(access: Access) -> Scope | None:
    """Return what statistics may be about; None where rows may leave."""
    licence = access.entitlement.statistics
    if licence is None:
        return None
    if isinstance(licence.rules, PrivateRules):
        bounds = licence.rules.bounds
        names, steps = tuple(b.column for b in bounds), tuple(f"{step_of(b):f}" for b in bounds)
        return Scope(licence.entity, licence.groups, names, steps)
    named = {licence.entity, *licence.groups}
    columns = access.licensed.dataset.schema_.columns
    measures = tuple(c.name for c in columns if c.type in NUMBERS and c.name not in named)
    return Scope(licence.entity, licence.groups, measures)


def release(uow: UnitOfWork, access: Access, contributions: Result) -> Release:
    """Audit the cells that were asked for against all that was ever answered, or add noise.

    Raises:
        QueryRefusedError: Noisy cells that do not follow from the question.
    """
    licence, scope = access.entitlement.statistics, scope_of(access)
    assert licence is not None
    assert scope is not None
    meter.stream(uow)  # the lock that all acts take first
    dataset_id = access.agreement.dataset_id
    table = pa.ipc.open_stream(b"".join(contributions.pieces)).read_all()
    request = Request.from_json(table.schema.metadata[REQUEST_KEY].decode())
    if isinstance(licence.rules, PrivateRules):
        held = Contributions(table, scope.groups, scope.measures)
        return _private(uow, access, request, held, licence.rules)
    atoms = Atoms(table, scope)
    answered = {name: store.answered(uow, dataset_id, name) for name in atoms.measures}
    made = answer(atoms, request, answered, licence.rules)
    return Release(result_of(made.table), answer=made)


def _private(
    uow: UnitOfWork,
    access: Access,
    request: Request,
    contributions: Contributions,
    rules: PrivateRules,
) -> Release:
    licence, dataset_id = access.entitlement.statistics, access.agreement.dataset_id
    assert licence is not None
    public, relation = _public(access), access.entitlement.relation.sha256
    try:
        questions = questions_of(
            request,
            public=public,
            relation_sha256=relation,
            entity=licence.entity,
            rules=rules,
        )
    except GateError as error:
        raise _refused(error) from None
    answered: dict[str, list[int]] = {}
    new: list[store.PrivateAnswer] = []
    for question in questions:
        known = store.private_answer(uow, dataset_id, question.sha256)
        if known is None:
            known = noisy(question, contributions, secrets.randbelow)
            said = {"measure": question.measure, **asdict(question)["conditions"]}
            new.append(store.PrivateAnswer(question.sha256, said, known, rules.epsilon_milli))
        answered[question.measure] = known
    spent = store.spent_milli(uow, dataset_id)
    epsilon = Epsilon(
        wanted_milli=sum(one.epsilon_milli for one in new),
        spent_milli=sum(spent.values()),
        spent_agreement_milli=spent.get(access.agreement.id, 0),
    )
    made = table_of(request, answered, questions=questions, public=public)
    return Release(result_of(made), private=new, epsilon=epsilon)


def _public(access: Access) -> Public:
    """Return what the terms and the listing say of the columns that group."""
    columns = {c.name: c for c in access.licensed.dataset.schema_.columns}
    licence = access.entitlement.statistics
    assert licence is not None
    listed = {
        condition.column: condition.values
        for condition in access.entitlement.relation.row_filter
        if condition.operator in {Operator.EQ, Operator.ANY_OF}
        and condition.column in licence.groups
        and columns[condition.column].mask is None
    }
    return Public({name: columns[name].type for name in licence.groups}, listed)


def _refused(error: GateError) -> QueryRefusedError:
    return QueryRefusedError(
        ko=f"잡음 통계로 답할 수 없는 질의입니다: {error.construct}. 나누는 열의 값을 모두 "
        "적으세요: WHERE 열 IN (값, 값) GROUP BY 열.",
        en=f"Noisy statistics cannot answer this: {error.construct}. List the values of each "
        "column that groups: WHERE column IN (value, value) GROUP BY column.",
        construct=error.construct,
    )


def remember(
    uow: UnitOfWork, runtime: Runtime, access: Access, made: Release, *, act_id: str
) -> None:
    """Store the cells of an answer that was recorded."""
    licence, dataset_id = access.entitlement.statistics, access.agreement.dataset_id
    assert licence is not None
    if store.basis(uow, dataset_id) is None:
        store.put_basis(uow, dataset_id, licence.basis_sha256)
    now = runtime.clock()
    store.put_private_answers(
        uow,
        dataset_id,
        made.private,
        entity=licence.entity,
        agreement_id=access.agreement.id,
        act_id=act_id,
        now=now,
    )
    for measure, cells in made.answer.cells.items() if made.answer else ():
        store.put_cells(uow, dataset_id, measure, cells, act_id=act_id, now=now)
