"""Queries under a licence for statistics only: contributions in, audited cells out.

The history is read and written in the transaction that records the act, under the meter's
lock: of two queries at once the second is audited against the first. What is remembered is
what was recorded; a query that was not delivered leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from connector.dataplane.access import Access
from connector.dataplane.pool import Result, result_of
from connector.metering import store as meter
from connector.runtime import Runtime
from connector.statistics import store
from connector.statistics.answer import Answer, Atoms, answer
from connector.statistics.request import REQUEST_KEY, Request, Scope
from databank.kit.db import UnitOfWork
from schemas.dataset import ColumnType

NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL})


@dataclass(frozen=True, slots=True)
class Release:
    """An audited result, and what is to be remembered once it is recorded."""

    result: Result
    answer: Answer


def scope_of(access: Access) -> Scope | None:
    """Return what statistics may be about; None where rows may leave."""
    licence = access.entitlement.statistics
    if licence is None:
        return None
    named = {licence.entity, *licence.groups}
    columns = access.licensed.dataset.schema_.columns
    measures = tuple(c.name for c in columns if c.type in NUMBERS and c.name not in named)
    return Scope(licence.entity, licence.groups, measures)


def release(uow: UnitOfWork, access: Access, contributions: Result) -> Release:
    """Audit the cells that were asked for against all that was ever answered of the dataset."""
    licence, scope = access.entitlement.statistics, scope_of(access)
    assert licence is not None
    assert scope is not None
    meter.stream(uow)  # the lock that all acts take first
    dataset_id = access.agreement.dataset_id
    table = pa.ipc.open_stream(b"".join(contributions.pieces)).read_all()
    request = Request.from_json(table.schema.metadata[REQUEST_KEY].decode())
    atoms = Atoms(table, scope)
    answered = {name: store.answered(uow, dataset_id, name) for name in atoms.measures}
    made = answer(atoms, request, answered, licence.rules)
    return Release(result_of(made.table), made)


def remember(
    uow: UnitOfWork, runtime: Runtime, access: Access, made: Release, *, act_id: str
) -> None:
    """Store the cells of an answer that was recorded."""
    licence, dataset_id = access.entitlement.statistics, access.agreement.dataset_id
    assert licence is not None
    if store.basis(uow, dataset_id) is None:
        store.put_basis(uow, dataset_id, licence.basis_sha256)
    for measure, cells in made.answer.cells.items():
        store.put_cells(uow, dataset_id, measure, cells, act_id=act_id, now=runtime.clock())
