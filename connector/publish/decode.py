"""Files as companies have them, to a table of texts: CSV in UTF-8 or CP949, and Excel.

Every cell stays the text that stands in the file; ``rows`` holds each row's number as a
spreadsheet counts (the header is row 1).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import fastexcel
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from schemas.wire import Text

DELIMITERS: Final = (",", "\t", ";", "|")
SNIFF_CHARS: Final = 65_536
_COMPOUND_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
EXCEL_SUFFIXES: Final = frozenset({".xlsx", ".xlsm", ".xls"})


class UnreadableFileError(ValueError):
    """The file cannot be read; ``said`` tells the user why and what to do.

    ``cause`` is what a library said: for the log, since it names paths and its own parts.
    """

    def __init__(self, ko: str, en: str, *, cause: str = "") -> None:
        super().__init__(en)
        self.said = Text(ko=ko, en=en)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row with more or fewer cells than the header has."""

    row: int
    text: str
    cells_count: int


@dataclass(frozen=True, slots=True)
class RawTable:
    """Texts as they stand in the file; ``columns`` are string arrays of equal length."""

    header: list[str]
    columns: list[pa.ChunkedArray]
    rows: list[int]
    format: str
    encoding: str | None = None
    sheet: str | None = None
    bad_rows: list[BadRow] = field(default_factory=list)
    warnings: list[Text] = field(default_factory=list)


def decode_text(content: bytes) -> tuple[str, str, list[Text]]:
    """Return a text file's text, its encoding, and what is odd about it.

    Raises:
        UnreadableFileError: Neither UTF-8 nor CP949.
    """
    if content.startswith(b"\xef\xbb\xbf"):
        said = Text(ko="파일이 BOM으로 시작합니다(엑셀 저장).", en="The file begins with a BOM.")
        return content[3:].decode("utf-8", errors="strict"), "utf-8-sig", [said]
    try:
        return content.decode("utf-8"), "utf-8", []
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp949")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"글자 인코딩을 알 수 없습니다({error.start}번째 바이트). UTF-8로 저장하세요.",
            f"Unknown text encoding (byte {error.start}). Save it as UTF-8 and upload again.",
        ) from None
    said = Text(ko="CP949(완성형)로 읽었습니다.", en="Read as CP949 (Korean Windows).")
    return text, "cp949", [said]


def sniff_delimiter(text: str) -> str:
    """Return the delimiter that splits the header into most cells."""
    first = next(iter(text[:SNIFF_CHARS].splitlines()), "")
    counts = {d: len(next(csv.reader([first], delimiter=d), [])) for d in DELIMITERS}
    return max(DELIMITERS, key=lambda d: counts[d])


def read_csv(content: bytes) -> RawTable:
    """Read a CSV file with a header; line ends LF, CR LF or CR.

    Raises:
        UnreadableFileError: Encoding unknown, or there is no row below the header.
    """
    text, encoding, warnings = decode_text(content)
    if "\0" in text:
        raise UnreadableFileError(
            "텍스트 파일이 아닙니다(0 바이트가 있습니다).", "Not a text file: it holds zero bytes."
        )
    delimiter = sniff_delimiter(text)
    header = next(csv.reader(io.StringIO(text, newline=None), delimiter=delimiter), [])
    if not header:
        raise UnreadableFileError("빈 파일입니다.", "The file is empty.")
    names = [str(number) for number in range(len(header))]
    bad: list[BadRow] = []

    def on_bad(row: pyarrow.csv.InvalidRow) -> str:
        bad.append(BadRow(row.number or 0, row.text[:200], row.actual_columns))
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(text.encode("utf-8")),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,  # row numbers are counted on one thread only
                skip_rows=1,
                column_names=names,
                block_size=max(1 << 20, len(text) * 4),  # quoted line ends must not be cut
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=on_bad,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise UnreadableFileError(
            'CSV로 읽을 수 없습니다. 닫히지 않은 따옴표(")나 깨진 줄이 없는지 확인하세요.',
            'Not readable as CSV. Look for a quote (") that is not closed, or a broken line.',
            cause=str(error),
        ) from None
    skipped = {row.row for row in bad}
    total = table.num_rows + len(bad)
    rows = [number for number in range(2, total + 2) if number not in skipped]
    columns, rows = _without_blank_rows(table.columns, rows)
    return RawTable(header, columns, rows, "csv", encoding, bad_rows=bad, warnings=warnings)


def _without_blank_rows(
    columns: list[pa.ChunkedArray], rows: list[int]
) -> tuple[list[pa.ChunkedArray], list[int]]:
    """Leave rows out that hold nothing at all; the others keep their numbers."""
    is_filled = pc.not_equal(columns[0], "")
    for column in columns[1:]:
        is_filled = pc.or_(is_filled, pc.not_equal(column, ""))
    kept = pa.array(rows).filter(is_filled).to_pylist()
    return [column.filter(is_filled) for column in columns], kept


def read_excel(path: Path) -> RawTable:
    """Read the first sheet of an Excel file whose first row is the header.

    Raises:
        UnreadableFileError: Not an Excel file, or an empty sheet.
    """
    try:
        book = fastexcel.read_excel(path)
        sheet = book.load_sheet(0, header_row=None, dtypes="string")
        batch = sheet.to_arrow()
    except (fastexcel.FastExcelError, ValueError, IndexError) as error:
        raise _not_excel(path, cause=str(error)) from None
    name, others = book.sheet_names[0], ", ".join(book.sheet_names[1:6])
    if batch.num_rows == 0:
        raise UnreadableFileError(
            f"첫 시트 '{name}'이(가) 비어 있습니다. 자료가 있는 시트를 맨 앞에 두세요.",
            f"The first sheet '{name}' is empty. Put the sheet with the data first.",
        )
    table = pa.Table.from_batches([batch])
    header = [str(column[0].as_py() or "") for column in table.columns]
    columns = [pc.fill_null(column.cast(pa.string()), "") for column in table.slice(1).columns]
    warnings = []
    if others:
        warnings.append(
            Text(
                ko=f"첫 시트 '{name}'만 읽었습니다. 다른 시트: {others}",
                en=f"Only the first sheet '{name}' was read. Others: {others}",
            )
        )
    columns, rows = _without_blank_rows(columns, list(range(2, batch.num_rows + 1)))
    return RawTable(header, columns, rows, "excel", sheet=name, warnings=warnings)


def _not_excel(path: Path, *, cause: str) -> UnreadableFileError:
    with path.open("rb") as file:
        is_compound = file.read(len(_COMPOUND_MAGIC)) == _COMPOUND_MAGIC
    if is_compound:  # Excel wraps a workbook with a password like this
        return UnreadableFileError(
            "엑셀 파일을 열 수 없습니다. 암호가 걸려 있거나 손상되었습니다. 암호를 풀고 .xlsx로 "
            "다시 저장하세요.",
            "The Excel file does not open: it has a password or is damaged. Save it again as "
            ".xlsx without a password.",
            cause=cause,
        )
    return UnreadableFileError(
        "엑셀 파일이 아니거나 손상되었습니다. 엑셀에서 열어 .xlsx로 다시 저장하세요.",
        "Not an Excel file, or damaged. Open it in Excel and save it again as .xlsx.",
        cause=cause,
    )
