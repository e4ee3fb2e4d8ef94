"""What an offer's terms license of a dataset: its file is made before the offer stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.offering import store as offerings
from connector.offering.model import Published
from connector.policy.entitlement import statistics_basis
from connector.publish.arrow_file import PARTIAL_SUFFIX, make_durable, sha256_of
from connector.publish.sample import sample_of
from connector.relation import store as relations
from connector.relation.derive import derive
from connector.relation.model import Relation, TermsDoNotFitError, check_bounds, check_statistics
from connector.relation.store import Licensed
from connector.runtime import Runtime
from connector.statistics import store as statistics
from connector.statistics.answer import folded
from databank.kit.db import UnitOfWork
from databank.kit.keys import load_or_make_secret
from schemas.dataset import Dataset, DatasetSchema
from schemas.ids import DatasetId
from schemas.terms import MaskMethod, Terms

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
    _check_columns(terms, DatasetSchema.model_validate({"columns": columns}))


def _check_columns(terms: Terms, schema: DatasetSchema) -> None:
    licensed = Relation.of(terms).licensed(schema)
    if terms.statistics_entity is not None:
        check_statistics(licensed, terms.statistics_entity, terms.statistics_groups)
    if terms.statistics_entity is not None and terms.epsilon_milli is not None:
        check_bounds(licensed, terms.statistics_entity, terms.bounds)


def _check_spellings(source: Path, terms: Terms) -> None:
    """Refuse pseudonyms of entities that are spelled in several ways: each would be another."""
    entity = terms.statistics_entity
    if not any(m.column == entity and m.method is MaskMethod.HASH for m in terms.masks):
        return
    with pa.memory_map(str(source)) as file:
        values = pc.unique(pa.ipc.open_file(file).read_all()[entity]).drop_null().to_pylist()
    if len({folded(str(value)) for value in values}) < len(values):
        raise TermsDoNotFitError(
            ko=f"열 '{entity}'에 대소문자, 전각, 공백만 다른 이름들이 있습니다. hash로 가리면 한 "
            "곳이 여러 곳으로 세어져 보호가 약해집니다. 이름을 맞춘 파일을 다시 올리거나 가리지 "
            "마세요.",
            en=f"Column '{entity}' has names that differ only in case, width or spaces. Masked by "
            "hash, one would count as several and be less protected. Publish a file with one "
            "spelling each, or leave the column unmasked.",
            column=entity,
        )


def _check_recipients(runtime: Runtime, terms: Terms) -> None:
    """Refuse groups and claims where no credential is asked for: nobody could ever show them."""
    if runtime.settings.shows_credentials:
        return
    if terms.recipient_groups or terms.recipient_claims:
        raise TermsDoNotFitError(
            ko="이 커넥터는 증명서를 확인하지 않으므로(설정 identity=registry) 이용 대상을 "
            "그룹이나 자격으로 정할 수 없습니다. 참여자 id로 정하거나 identity=dcp로 바꾸세요.",
            en="This connector checks no credentials (setting identity=registry), so recipients "
            "cannot be groups or claims. Name participants, or set identity=dcp.",
        )


def license_relation(runtime: Runtime, whole: Licensed, terms: Terms) -> Licensed:
    """Return what terms license of a dataset, with its file on the disk.

    Raises:
        TermsDoNotFitError: They do not fit the columns, or no row fulfils them.
    """
    relation = Relation.of(terms)
    _check_recipients(runtime, terms)
    _check_columns(terms, whole.dataset.schema_)
    if relation.is_whole:
        return _without_rows(whole) if terms.statistics_entity else whole
    source = runtime.data_folder / whole.file_name
    _check_spellings(source, terms)
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
    licensed = Licensed(whole.dataset.model_copy(update=facts), file_name)
    return _without_rows(licensed) if terms.statistics_entity else licensed


def _without_rows(licensed: Licensed) -> Licensed:
    """Take the sample away: where statistics are licensed only, no row is shown."""
    dataset = licensed.dataset.model_copy(update={"sample_columns": (), "sample": ()})
    return Licensed(dataset, licensed.file_name)


def license_offer(runtime: Runtime, dataset_id: DatasetId, terms: Terms) -> None:
    """Make what terms license that were never offered, before anybody agrees to them.

    Raises:
        TermsDoNotFitError: They do not fit the columns, or no row fulfils them.
    """
    _check_recipients(runtime, terms)
    with runtime.database.unit_of_work() as uow:
        check_history(uow, dataset_id, terms)
        published = offerings.get(uow, dataset_id)
        relation = Relation.of(terms)
        if published is None or relation == Relation.of(published.terms):
            return
        whole = whole_of(uow, published)
    licensed = license_relation(runtime, whole, terms)
    with runtime.database.unit_of_work() as uow:
        relations.put(uow, _WHOLE.sha256, whole)
        relations.put(uow, relation.sha256, licensed)
        uow.after_commit(runtime.copies.give)


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


def check_history(uow: UnitOfWork, dataset_id: DatasetId, terms: Terms) -> None:
    """Refuse statistics of another making than those that were answered: they could be compared.

    Raises:
        TermsDoNotFitError: The relation, the entity or the groups are others.
    """
    entity, known = terms.statistics_entity, statistics.basis(uow, dataset_id)
    if entity is None or known is None:
        return
    if statistics_basis(terms) != known:
        raise TermsDoNotFitError(
            ko="이 데이터셋은 다른 열, 행, 구분, 방식으로 낸 통계가 이미 나갔습니다. 두 통계를 "
            "견주면 한 곳의 값이 드러날 수 있습니다. 그때의 범위로 내거나 통계 없이 내세요.",
            en="Statistics by other columns, rows, groups or in another way were answered of this "
            "dataset. Comparing both could show one's value. Keep to those, or offer none.",
        )


def keep(uow: UnitOfWork, whole: Licensed, licensed: Licensed, terms: Terms) -> None:
    """Remember which files a dataset's offers are about, for as long as agreements go on."""
    relation = Relation.of(terms)
    check_history(uow, whole.dataset.id, terms)
    if relation.is_whole and terms.statistics_entity is None:
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
