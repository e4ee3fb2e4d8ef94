"""Parquet and Arrow files from outside: types first, then every byte, then our own form.

pyarrow does not validate what it reads; a wrong offset crashes whoever touches it. So only
types of a short list are let in, and each batch is validated in full before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from connector.publish.decode import RawTable, UnreadableFileError
from connector.publish.infer import LOCAL_ZONE
from schemas.dataset import ARROW_TYPES, ColumnType
from schemas.wire import Text

CAUSE_CHARS_MAX: Final = 1000
ROWS_MAX: Final = 200_000_000
CODECS: Final = frozenset({"UNCOMPRESSED", "SNAPPY", "ZSTD", "GZIP", "LZ4", "LZ4_RAW"})


def read_foreign(path: Path) -> RawTable:
    """Read a Parquet file, or an Arrow IPC file or stream.

    Raises:
        UnreadableFileError: Malformed, or a column has a type that is not let in.
    """
    with path.open("rb") as file:
        magic = file.read(6)
    try:
        if magic[:4] == b"PAR1":
            table, form = _read_parquet(path), "parquet"
        else:
            table, form = _read_arrow(path, is_file=magic == b"ARROW1"), "arrow"
        table.validate(full=True)
        if table.num_rows > ROWS_MAX:
            raise UnreadableFileError("행이 너무 많습니다.", "Too many rows.")
        columns, warnings = [], []
        for field, column in zip(table.schema, table.columns, strict=True):
            own, said = _to_own(field, column)
            columns.append(own)
            warnings += said
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, UnreadableFileError):
            raise
        raise UnreadableFileError(
            "Parquet이나 Arrow 파일이 아니거나 손상되었습니다. 만든 프로그램에서 다시 저장하세요.",
            "Not a Parquet or Arrow file, or damaged. Save it again with the program that made it.",
            cause=str(error)[:CAUSE_CHARS_MAX],
        ) from None
    rows = list(range(1, table.num_rows + 1))
    return RawTable(list(table.schema.names), columns, rows, form, warnings=warnings)


def _read_parquet(path: Path) -> pa.Table:
    file = pq.ParquetFile(path, memory_map=False)
    _check_types(file.schema_arrow)
    metadata = file.metadata
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            codec = metadata.row_group(group).column(column).compression
            if codec not in CODECS:
                raise UnreadableFileError(
                    f"압축 방식 {codec}은(는) 받지 않습니다.", f"Compression {codec} is refused."
                )
    return file.read()


def _read_arrow(path: Path, *, is_file: bool) -> pa.Table:
    if is_file:
        with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
            _check_types(reader.schema)
            return reader.read_all()
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as stream:
        _check_types(stream.schema)
        return stream.read_all()


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_decimal128(kind)
    )


def _check_types(schema: pa.Schema) -> None:
    for field in schema:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not _is_plain(kind):
            raise UnreadableFileError(
                f"열 '{field.name}'의 형식({field.type})은 받지 않습니다. 평평한 표로 바꾸세요.",
                f"Column '{field.name}' has type {field.type}: flatten it to plain values.",
            )


def _to_own(field: pa.Field, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[Text]]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is None:
        local = pa.compute.assume_timezone(
            column, LOCAL_ZONE, ambiguous="earliest", nonexistent="earliest"
        )
        said = Text(
            ko=f"'{field.name}' 열에 시간대가 없어 한국 시각으로 읽었습니다.",
            en=f"Column '{field.name}' has no zone: read as Asia/Seoul.",
        )
        own, more = _to_own(field, local)
        return own, [said, *more]
    try:
        return column.cast(ARROW_TYPES[_own_type(kind)]), []
    except pa.ArrowInvalid:
        return _wider(field.name, column)


def _wider(name: str, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[Text]]:
    """Keep what does not fit its type here: as a decimal, as text, or, of a time, but for ns."""
    if pa.types.is_timestamp(column.type):
        said = Text(
            ko=f"'{name}' 열의 시각에서 마이크로초보다 작은 자리는 버렸습니다.",
            en=f"Column '{name}': what is finer than a microsecond was cut off.",
        )
        return column.cast(ARROW_TYPES[ColumnType.TIME], safe=False), [said]
    own = ColumnType.DECIMAL if pa.types.is_integer(column.type) else ColumnType.TEXT
    said = Text(
        ko=f"'{name}' 열에 너무 긴 수가 있어 {own.value} 형식으로 두었습니다.",
        en=f"Column '{name}' holds numbers with too many digits; its type is {own.value}.",
    )
    return column.cast(ARROW_TYPES[own]), [said]


def _own_type(kind: pa.DataType) -> ColumnType:
    for test, own in (
        (pa.types.is_boolean, ColumnType.BOOLEAN),
        (pa.types.is_integer, ColumnType.INTEGER),
        (pa.types.is_floating, ColumnType.NUMBER),
        (pa.types.is_decimal128, ColumnType.DECIMAL),
        (pa.types.is_date, ColumnType.DATE),
        (pa.types.is_timestamp, ColumnType.TIME),
    ):
        if test(kind):
            return own
    return ColumnType.TEXT
