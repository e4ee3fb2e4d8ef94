"""Queries under a licence for statistics only: contributions in, audited or noisy cells out.

The history is read and written in the transaction that records the act, under the meter's
lock: of two queries at once the second is audited against the first. What is remembered is
what was recorded; a query that was not delivered leaves nothing behind. The budget of noisy
answers is spent by the same row that keeps the answer: an answer leaves only after it is spent.
What takes long is done before, out of the lock. Noise is drawn only for what was decided: how
many rows and bytes a noisy answer has follows from the question.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa

from connector.dataplane.access import Access
from connector.dataplane.gate import GateError
from connector.dataplane.pool import QueryRefusedError, Result, result_of
from connector.policy.evaluate import Epsilon
from connector.runtime import Runtime
from connector.statistics import store
from connector.statistics.answer import Answer, Atoms, answer
from connector.statistics.audit import Rules
from connector.statistics.private import (
    Contributions,
    Key,
    PrivateRules,
    Public,
    Question,
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


@dataclass(frozen=True, slots=True)
class Pending:
    """What an answer would be as things stand: what is decided on, and how to make it then."""

    rows_count: int
    bytes_count: int
    make: Callable[[], Release]
    epsilon: Epsilon | None = None


Look: TypeAlias = Callable[[UnitOfWork], Callable[[], Pending]]
"""Reads what was answered before; what it returns needs no transaction."""


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


def prepare(access: Access, raw: Result, *, is_quote: bool = False) -> Look:
    """Do all that depends on what the worker counted alone: it takes long, and no lock.

    Args:
        access: Whose terms say what may leave.
        raw: Rows that may leave as they are, or contributions.
        is_quote: Nothing will be made of it, so nothing is grouped for noise.

    Raises:
        QueryRefusedError: Noisy cells that do not follow from the question.
    """
    licence, scope = access.entitlement.statistics, scope_of(access)
    if licence is None or scope is None:
        plain = Pending(raw.rows_count, raw.bytes_count, lambda: Release(raw))
        return lambda _: lambda: plain
    table = pa.ipc.open_stream(b"".join(raw.pieces)).read_all()
    request = Request.from_json(table.schema.metadata[REQUEST_KEY].decode())
    if not isinstance(licence.rules, PrivateRules):
        return _audited(access, request, Atoms(table, scope), licence.rules)
    public = _public(access)
    try:
        questions = questions_of(
            request,
            public=public,
            relation_sha256=access.entitlement.relation.sha256,
            entity=licence.entity,
            rules=licence.rules,
        )
    except GateError as error:
        raise _refused(error) from None
    totals: dict[str, dict[Key, int]] = {}
    if not is_quote:
        held = Contributions(table, scope.groups, scope.measures)
        totals = {question.sha256: held.totals(question) for question in questions}
    return _private(access, request, questions, totals, public)


def _audited(access: Access, request: Request, atoms: Atoms, rules: Rules) -> Look:
    dataset_id = access.agreement.dataset_id

    def look(uow: UnitOfWork) -> Callable[[], Pending]:
        answered = {name: store.answered(uow, dataset_id, name) for name in atoms.measures}

        def audit() -> Pending:
            made = answer(atoms, request, answered, rules)
            result = result_of(made.table)
            release = Release(result, answer=made)
            return Pending(result.rows_count, result.bytes_count, lambda: release)

        return audit

    return look


def _private(
    access: Access,
    request: Request,
    questions: list[Question],
    totals: dict[str, dict[Key, int]],
    public: Public,
) -> Look:
    dataset_id = access.agreement.dataset_id
    zeros = {question.measure: [0] * len(question.cells) for question in questions}
    size = result_of(table_of(request, zeros, questions=questions, public=public))

    def look(uow: UnitOfWork) -> Callable[[], Pending]:
        spent = store.spent_milli(uow, dataset_id)
        known = {q.sha256: store.private_answer(uow, dataset_id, q.sha256) for q in questions}
        wanted = [q.rules.epsilon_milli for q in questions if known[q.sha256] is None]
        epsilon = Epsilon(sum(wanted), sum(spent.values()), spent.get(access.agreement.id, 0))

        def make() -> Release:
            answered: dict[str, list[int]] = {}
            new: list[store.PrivateAnswer] = []
            for question in questions:
                values = known[question.sha256]
                if values is None:
                    values = noisy(question, totals[question.sha256], secrets.randbelow)
                    new.append(_answer_to(question, values))
                answered[question.measure] = values
            made = table_of(request, answered, questions=questions, public=public)
            return Release(result_of(made), private=new)

        pending = Pending(size.rows_count, size.bytes_count, make, epsilon)
        return lambda: pending

    return look


def _answer_to(question: Question, values: list[int]) -> store.PrivateAnswer:
    said = {"measure": question.measure, **question.conditions}
    return store.PrivateAnswer(question.sha256, said, values, question.rules.epsilon_milli)


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
