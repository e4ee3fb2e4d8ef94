"""Writing an answer to a file whose name says the format."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from databank.cli.questions import BadAnswerError


def write_table(table: pa.Table, path: Path) -> None:
    """Write Arrow, Parquet or CSV.

    Raises:
        BadAnswerError: The name ends otherwise.
    """
    match path.suffix.lower():
        case ".arrow":
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        case ".parquet":
            pyarrow.parquet.write_table(table, path)
        case ".csv":
            pyarrow.csv.write_csv(table, path)
        case suffix:
            raise BadAnswerError(
                ko=f"{suffix!r}: .arrow, .parquet, .csv 가운데 하나로 저장하세요.",
                en=f"{suffix!r}: save as .arrow, .parquet or .csv.",
            )
