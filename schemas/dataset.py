"""What a dataset is: its columns, and their form as a ``pyarrow.Schema``.

Field metadata carry unit, labels and sensitivity (keys ``unit``, ``label.ko``, ``label.en``,
``sens``, ``mask``), so that an Arrow file explains itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import pyarrow as pa
from pydantic import Field, field_validator

from schemas.approval import Approval
from schemas.ids import COLUMN_NAME, DATASET_NAME, DatasetId, OfferId, ParticipantId
from schemas.price import PricePlan
from schemas.sql_words import SQL_WORDS
from schemas.wire import OwnWire, Sha256, Text, Time

BATCH_ROWS_MAX: Final = 65_536
COLUMNS_MAX: Final = 512
SAMPLE_ROWS_MAX: Final = 20
_STATEMENT_WORDS: Final = """
alter between drop force grant insert install revoke rollback values
"""  # words that the buyer's parser takes for statements, though the engine does not reserve them
RESERVED_NAMES: Final = SQL_WORDS | frozenset(_STATEMENT_WORDS.split())


class Domain(StrEnum):
    """What a dataset is about."""

    CARBON = "carbon"
    PROCESS = "process"
    SUPPLY_CHAIN = "supply-chain"


class Industry(StrEnum):
    """The five industries of the Korean supply-chain data space, and the rest."""

    BATTERY = "battery"
    AUTOMOTIVE_PARTS = "automotive-parts"
    HOME_APPLIANCES = "home-appliances"
    STEEL_ALUMINIUM = "steel-aluminium"
    TEXTILES = "textiles"
    OTHER = "other"


class Sensitivity(StrEnum):
    """How much a column gives away; the sample shows ``public`` columns only."""

    PUBLIC = "public"
    PARTNER = "partner"
    CONFIDENTIAL = "confidential"
    TRADE_SECRET = "trade-secret"  # noqa: S105 - a class of data, not a password


class ColumnType(StrEnum):
    """The closed list of column types; every one is safe to read from a stranger's file."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    DECIMAL = "decimal"
    TEXT = "text"
    DATE = "date"
    TIME = "time"


ARROW_TYPES: Final[dict[ColumnType, pa.DataType]] = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.DECIMAL: pa.decimal128(38, 18),
    ColumnType.TEXT: pa.string(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIME: pa.timestamp("us", "UTC"),
}


class Column(OwnWire):
    """One column as published."""

    name: str
    type: ColumnType
    label: Text
    unit: str | None = Field(default=None, max_length=40)
    sensitivity: Sensitivity = Sensitivity.PARTNER
    mask: str | None = Field(default=None, max_length=80)  # how the terms mask its values

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not COLUMN_NAME.match(name):
            raise ValueError(f"not a column name (letters, digits, _): {name!r}")
        return name


class DatasetSchema(OwnWire):
    """The columns of a dataset, in order; names are unique whatever their case."""

    columns: tuple[Column, ...] = Field(min_length=1, max_length=COLUMNS_MAX)

    @field_validator("columns")
    @classmethod
    def _check_unique(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        names = [column.name.casefold() for column in columns]
        if len(set(names)) != len(names):
            raise ValueError("two columns have the same name")
        return columns

    def to_arrow(self) -> pa.Schema:
        """Return the schema with field metadata."""
        return pa.schema([_to_field(column) for column in self.columns])

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> DatasetSchema:
        """Read a schema written by ``to_arrow``.

        Raises:
            ValueError: A field has another type or lacks its metadata.
        """
        return cls(columns=tuple(_from_field(field) for field in schema))


def _to_field(column: Column) -> pa.Field:
    metadata = {
        "label.ko": column.label.ko,
        "label.en": column.label.en,
        "sens": column.sensitivity.value,
    }
    if column.unit is not None:
        metadata["unit"] = column.unit
    if column.mask is not None:
        metadata["mask"] = column.mask
    return pa.field(column.name, ARROW_TYPES[column.type], nullable=True, metadata=metadata)


def _from_field(field: pa.Field) -> Column:
    metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
    kinds = [kind for kind, arrow in ARROW_TYPES.items() if arrow == field.type]
    if not kinds or "label.ko" not in metadata or "label.en" not in metadata:
        raise ValueError(f"column {field.name!r} ({field.type}) is not a published column")
    return Column(
        name=field.name,
        type=kinds[0],
        label=Text(ko=metadata["label.ko"], en=metadata["label.en"]),
        unit=metadata.get("unit"),
        sensitivity=Sensitivity(metadata.get("sens", Sensitivity.PARTNER)),
        mask=metadata.get("mask"),
    )


class Dataset(OwnWire):
    """A published dataset as everybody may see it: no rows but the sample.

    ``data_sha256`` is over the whole Arrow IPC file. ``sample`` holds rows of the columns
    that are shown (``sample_columns``), values as JSON.
    """

    id: DatasetId
    name: str = Field(pattern=DATASET_NAME.pattern)
    title: Text
    description: Text
    domain: Domain
    industry: Industry
    keywords: tuple[str, ...] = Field(default=(), max_length=30)
    schema_: DatasetSchema = Field(alias="schema")
    rows_count: int = Field(ge=0)
    file_bytes: int = Field(ge=0)
    data_sha256: Sha256
    issued_at: Time
    modified_at: Time
    is_generated: bool = False
    sample_columns: tuple[str, ...] = ()
    sample: tuple[tuple[Any, ...], ...] = Field(default=(), max_length=SAMPLE_ROWS_MAX)


class Listing(OwnWire):
    """A dataset with its supplier and its offer, as the federated catalog knows it.

    ``policy`` is the ODRL offer as the supplier's connector sent it (see ``schemas.odrl``).
    """

    dataset: Dataset
    provider_id: ParticipantId
    provider_name: str
    provider_handle: str
    dsp_url: str
    offer_id: OfferId
    policy: dict[str, Any]
    plan: PricePlan
    approval: Approval = Approval.AUTOMATIC
