"""What an offer's terms license of a dataset: its file is made before the offer stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from connector.offering import store as offerings
from connector.offering.model import Published
from connector.publish.arrow_file import PARTIAL_SUFFIX, make_durable, sha256_of
from connector.publish.sample import sample_of
from connector.relation import store as relations
from connector.relation.derive import derive
from connector.relation.model import Relation, TermsDoNotFitError
from connector.relation.store import Licensed
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from databank.kit.keys import load_or_make_secret
from schemas.dataset import Dataset, DatasetSchema
from schemas.ids import DatasetId
from schemas.terms import Terms

MASK_KEY_FILE: Final = "mask-key"
_WHOLE: Final = Relation()


def mask_key(runtime: Runtime) -> bytes:
    """Return the secret behind this company's pseudonyms."""
    return load_or_make_secret(runtime.settings.data_dir / MASK_KEY_FILE)


def whole_of(uow: UnitOfWork, published: Published) -> Licensed:
    """Return all of a dataset, whatever is offered of it now."""
    known = relations.get(uow, published.dataset.id, _WHOLE.sha256)
    return known or Licensed(published.dataset, published.file_name)


def check_terms(terms: Terms, columns: list[dict[str, Any]]) -> None:
    """Check that terms fit a dataset's columns, before any file of it is kept.

    Raises:
        TermsDoNotFitError: They do not.
    """
    Relation.of(terms).licensed(DatasetSchema.model_validate({"columns": columns}))


def license_relation(runtime: Runtime, whole: Licensed, terms: Terms) -> Licensed:
    """Return what terms license of a dataset, with its file on the disk.

    Raises:
        TermsDoNotFitError: They do not fit the columns, or no row fulfils them.
    """
    relation = Relation.of(terms)
    relation.licensed(whole.dataset.schema_)
    if relation.is_whole:
        return whole
    source = runtime.data_folder / whole.file_name
    partial = runtime.data_folder / f"{runtime.make_id().rsplit(':', 1)[1]}{PARTIAL_SUFFIX}"
    try:
        schema = derive(source, partial, relation, key=_key_of(runtime, whole.dataset.id))
        facts = _facts(partial, whole.dataset, schema)
        if not facts["rows_count"]:
            raise TermsDoNotFitError(
                ko="이용 조건의 행 조건에 맞는 행이 하나도 없습니다. 조건을 고치세요.",
                en="No row fulfils the row condition of the terms. Change it.",
            )
        file_name = f"{facts['data_sha256']}.arrow"
        make_durable(partial, runtime.data_folder / file_name)
    finally:
        partial.unlink(missing_ok=True)
    return Licensed(whole.dataset.model_copy(update=facts), file_name)


def license_offer(runtime: Runtime, dataset_id: DatasetId, terms: Terms) -> None:
    """Make what terms license that were never offered, before anybody agrees to them.

    Raises:
        TermsDoNotFitError: They do not fit the columns, or no row fulfils them.
    """
    with runtime.database.unit_of_work() as uow:
        published = offerings.get(uow, dataset_id)
        relation = Relation.of(terms)
        if published is None or relation == Relation.of(published.terms):
            return
        whole = whole_of(uow, published)
    licensed = license_relation(runtime, whole, terms)
    with runtime.database.unit_of_work() as uow:
        relations.put(uow, _WHOLE.sha256, whole)
        relations.put(uow, relation.sha256, licensed)


def _key_of(runtime: Runtime, dataset_id: DatasetId) -> bytes:
    return mask_key(runtime) + dataset_id.encode()  # pseudonyms of two datasets do not match


def _facts(path: Path, whole: Dataset, schema: DatasetSchema) -> dict[str, Any]:
    licensed = {column.name for column in schema.columns}
    with pa.memory_map(str(path)) as file:
        data = pa.ipc.open_file(file).read_all()
        columns = [name for name in whole.sample_columns if name in licensed]
        sample = sample_of(data, columns, len(whole.sample))
        return {
            "schema_": schema,
            "rows_count": data.num_rows,
            "file_bytes": path.stat().st_size,
            "data_sha256": sha256_of(path),
            "sample_columns": tuple(sample["sample_columns"]),
            "sample": tuple(tuple(row) for row in sample["sample"]),
        }


def keep(uow: UnitOfWork, whole: Licensed, licensed: Licensed, terms: Terms) -> None:
    """Remember which files a dataset's offers are about, for as long as agreements go on."""
    relation = Relation.of(terms)
    if relation.is_whole:
        return
    relations.put(uow, _WHOLE.sha256, whole)
    relations.put(uow, relation.sha256, licensed)


def offered(dataset: Dataset, licensed: Licensed) -> Dataset:
    """Return a listed dataset, with its own texts, as the relation has it."""
    facts = licensed.dataset
    return dataset.model_copy(
        update={
            "schema_": facts.schema_,
            "rows_count": facts.rows_count,
            "file_bytes": facts.file_bytes,
            "data_sha256": facts.data_sha256,
            "sample_columns": facts.sample_columns,
            "sample": facts.sample,
        }
    )
