"""The child process that reads a file from outside: whatever kills it kills only it.

``python -m connector.publish JOB.json`` reads the file that the job names, types its
columns, and writes a report, the full list of bad cells as CSV and, if asked, the Arrow
file. Limits on memory are set before anything is read; the parent limits the time.
"""

from __future__ import annotations

import csv
import json
import resource
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from connector.publish.arrow_file import write_partial
from connector.publish.decode import (
    EXCEL_SUFFIXES,
    RawTable,
    UnreadableFileError,
    read_csv,
    read_excel,
)
from connector.publish.foreign import read_foreign
from connector.publish.headers import Header, read_headers
from connector.publish.infer import TypedColumn, type_column
from connector.publish.personal import find_personal
from connector.publish.sample import sample_of
from schemas.dataset import ARROW_TYPES, COLUMNS_MAX, Column, DatasetSchema, Sensitivity
from schemas.management import BadCell, ColumnChange
from schemas.wire import Text

BAD_CELLS_SAID: Final = 100
BAD_CELLS_KEPT: Final = 100_000
CELL_CHARS_SAID: Final = 80
WARNINGS_MAX: Final = 50
_Typed = tuple[Column, TypedColumn]
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def main(job_path: str) -> None:
    """Do one job; the answer is written beside it as ``report.json``."""
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    limit = int(job["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        report = run(job)
    except UnreadableFileError as error:
        report = {"error": error.said.to_json(), "cause": error.cause}
    except MemoryError:
        said = Text(ko="파일이 너무 큽니다(메모리 한도).", en="The file is too large to read.")
        report = {"error": said.to_json()}
    out = Path(job["report"])
    out.write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Read, type, report; write the Arrow file if ``job['arrow']`` names one."""
    path, filename = Path(job["file"]), str(job["filename"])
    changes = [ColumnChange.model_validate(change) for change in job["columns"]]
    table = _read(path, filename)
    columns, typed = _type(table, changes)
    personal = find_personal([column.name for column in columns], table.columns)
    columns = _guard(columns, changes, set(personal))
    warnings = [*personal.values(), *table.warnings, *_column_warnings(typed)]
    cells, bad_rows = _bad_cells(table, typed)
    _write_errors(Path(job["errors"]), cells)
    report: dict[str, Any] = {
        "format": table.format,
        "encoding": table.encoding,
        "rows_count": len(table.rows) + len(table.bad_rows),
        "bad_rows_count": len(bad_rows),
        "bad_cells": [cell.to_json() for cell in cells[:BAD_CELLS_SAID]],
        "columns": [column.to_json() for column in columns],
        "warnings": [warning.to_json() for warning in warnings[:WARNINGS_MAX]],
        "personal_columns": list(personal),
    }
    if table.sheet is not None:
        report["sheet"] = table.sheet
    if job["arrow"]:
        arrays = [found.values for _, found in typed]
        data = _write_arrow(job, table, columns, arrays, bad_rows)
        shown = [c.name for c in columns if c.sensitivity is Sensitivity.PUBLIC]
        shown = [name for name in shown if name not in personal]
        report |= {
            "published_rows_count": data.num_rows,
            **sample_of(data, shown, int(job["sample_rows"])),
        }
    return report


def _guard(columns: list[Column], changes: list[ColumnChange], personal: set[str]) -> list[Column]:
    """Make personal columns confidential, unless somebody said how sensitive they are."""
    kept = {change.name for change in changes if change.sensitivity}
    weaker = {Sensitivity.PUBLIC, Sensitivity.PARTNER}
    return [
        column.model_copy(update={"sensitivity": Sensitivity.CONFIDENTIAL})
        if column.name in personal - kept and column.sensitivity in weaker
        else column
        for column in columns
    ]


def _column_warnings(typed: list[_Typed]) -> list[Text]:
    return [
        Text(ko=f"'{column.name}' 열: {said.ko}", en=f"Column '{column.name}': {said.en}")
        for column, found in typed
        for said in found.warnings
    ]


def _read(path: Path, filename: str) -> RawTable:
    suffix = Path(filename).suffix.casefold()
    if suffix in EXCEL_SUFFIXES:
        table = read_excel(path)
    elif suffix in {".parquet", ".arrow", ".feather", ".arrows"}:
        table = read_foreign(path)
    else:
        table = read_csv(path.read_bytes())
    if len(table.header) > COLUMNS_MAX:
        raise UnreadableFileError(
            f"열이 {len(table.header)}개입니다. {COLUMNS_MAX}개까지 됩니다.",
            f"{len(table.header)} columns; at most {COLUMNS_MAX} are possible.",
        )
    if not table.rows:
        raise UnreadableFileError("머리글 아래에 행이 없습니다.", "There is no row of data.")
    return table


def _type(table: RawTable, changes: list[ColumnChange]) -> tuple[list[Column], list[_Typed]]:
    headers, warnings = read_headers(table.header)
    table.warnings.extend(warnings)
    wanted = {change.name: change for change in changes}
    if unknown := set(wanted) - {header.name for header in headers}:
        raise UnreadableFileError(
            f"없는 열을 고치려 했습니다: {', '.join(sorted(unknown))}",
            f"Changes name columns that are not there: {', '.join(sorted(unknown))}",
        )
    typed = [
        _type_one(header, values, wanted.get(header.name))
        for header, values in zip(headers, table.columns, strict=True)
    ]
    return [column for column, _ in typed], typed


def _type_one(header: Header, values: pa.ChunkedArray, change: ColumnChange | None) -> _Typed:
    wanted = change.type if change else None
    if pa.types.is_string(values.type):
        found = type_column(values, wanted)
    else:
        kind = next(kind for kind, arrow in ARROW_TYPES.items() if arrow == values.type)
        found = TypedColumn(kind, values.combine_chunks())
        if wanted is not None and wanted is not kind:
            found = type_column(values.cast(pa.string()), wanted)
    sensitivity = change.sensitivity if change and change.sensitivity else header.sensitivity
    said = change.unit if change else None  # an empty text takes the unit away
    unit = said if said is not None else header.unit or found.unit
    column = Column(
        name=header.name,
        type=found.type,
        label=change.label if change and change.label else header.label,
        unit=unit or None,
        sensitivity=sensitivity,
    )
    return column, found


def _bad_cells(table: RawTable, typed: list[_Typed]) -> tuple[list[BadCell], set[int]]:
    cells = [
        BadCell(
            row=bad.row,
            column="",
            value=bad.text[:CELL_CHARS_SAID],
            reason=Text(
                ko=f"칸이 {bad.cells_count}개입니다. 머리글은 {len(table.header)}개입니다",
                en=f"{bad.cells_count} cells where the header has {len(table.header)}",
            ),
        )
        for bad in table.bad_rows
    ]
    rows = {bad.row for bad in table.bad_rows}
    for (column, found), values in zip(typed, table.columns, strict=True):
        if not found.bad:
            continue
        assert found.reason is not None
        rows.update(table.rows[position] for position in found.bad)
        texts = values.take(pa.array(found.bad[:BAD_CELLS_KEPT])).cast(pa.string()).to_pylist()
        cells += [
            BadCell(
                row=table.rows[position],
                column=column.name,
                value=str(text)[:CELL_CHARS_SAID],
                reason=found.reason,
            )
            for position, text in zip(found.bad, texts, strict=False)
        ]
    cells.sort(key=lambda cell: cell.row)
    return cells[:BAD_CELLS_KEPT], rows


def _write_errors(path: Path, cells: list[BadCell]) -> None:
    """Write bad cells for a spreadsheet: BOM for Excel, and nothing it takes for a formula."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["행 (row)", "열 (column)", "값 (value)", "이유", "reason"])
        for cell in cells:
            value = f"'{cell.value}" if cell.value.startswith(FORMULA_STARTS) else cell.value
            writer.writerow([cell.row, cell.column, value, cell.reason.ko, cell.reason.en])


def _write_arrow(
    job: dict[str, Any],
    table: RawTable,
    columns: list[Column],
    arrays: list[pa.Array],
    bad_rows: set[int],
) -> pa.Table:
    schema = DatasetSchema(columns=tuple(columns)).to_arrow()
    data = pa.Table.from_arrays(arrays, schema=schema)
    keep = pa.array([row not in bad_rows for row in table.rows])
    data = data.filter(keep).replace_schema_metadata(job["metadata"])
    if data.num_rows == 0:
        raise UnreadableFileError("올릴 수 있는 행이 없습니다.", "No row is left to publish.")
    write_partial(data, Path(job["arrow"]))
    return data
