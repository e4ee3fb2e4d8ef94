"""Writing an answer to a file whose name says the format; what was paid for is never lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from databank.cli.bad_answer import BadAnswerError
from schemas.problem import ProblemError
from schemas.wire import Text

SUFFIXES: Final = (".arrow", ".parquet", ".csv")
READ_SUFFIXES: Final = (".arrow", ".feather")  # what `read` brings is an Arrow file
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # without it Excel reads Korean as something else


class NotWrittenError(ProblemError):
    """The answer is paid, but its file could not be written; it lies in another place."""

    slug = "not-written"
    title = Text(
        ko="파일을 쓸 수 없어 다른 곳에 저장했습니다", en="Saved elsewhere: the file is unusable"
    )
    status = 500


def check_output(path: Path, suffixes: tuple[str, ...], *, is_forced: bool) -> None:
    """Let a path pass to which an answer can be written.

    Raises:
        BadAnswerError: Its name ends otherwise, its folder is not usable, or it exists.
    """
    if path.suffix.lower() not in suffixes:
        choices = ", ".join(suffixes)
        raise BadAnswerError(
            ko=f"{path}: 파일 이름 끝은 {choices} 가운데 하나여야 합니다. 아무것도 청구되지 "
            "않았습니다.",
            en=f"{path}: the file's name must end with one of {choices}. Nothing was charged.",
        )
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise BadAnswerError(
            ko=f"{folder}: 쓸 수 있는 폴더가 아닙니다. 아무것도 청구되지 않았습니다.",
            en=f"{folder} is not a folder that can be written to. Nothing was charged.",
        )
    if path.is_dir() or (path.exists() and not is_forced):
        raise BadAnswerError(
            ko=f"{path}: 이미 있습니다. 덮어쓰려면 --force를 붙이세요. 아무것도 청구되지 "
            "않았습니다.",
            en=f"{path} exists. Add --force to replace it. Nothing was charged.",
        )


def save(table: pa.Table, path: Path, *, environment: Mapping[str, str]) -> None:
    """Write a paid answer, at once or not at all.

    Raises:
        NotWrittenError: It could not be written to ``path`` and lies where the error says.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        _write(table, partial, path.suffix.lower())
        partial.replace(path)
    except (OSError, pa.ArrowException) as error:
        there = rescue(table, environment)
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise NotWrittenError(
            ko=f"{path}: {error}. 이미 청구된 결과는 {there} 파일에 있습니다.",
            en=f"{path}: {error}. The answer, which is paid, is in {there}.",
            file=str(there),
        ) from None


def rescue(table: pa.Table, environment: Mapping[str, str]) -> Path:
    """Write a paid answer as an Arrow file to the first place that takes it; return where.

    Raises:
        OSError: No place does.
    """
    home = Path(environment.get("HOME", "~")).expanduser()
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    places = (data / "databank" / "answers", Path(tempfile.gettempdir()))
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(".arrow", "answer-", place)
            os.close(descriptor)
            _write(table, Path(name), ".arrow")
        except OSError:
            continue
        return Path(name)
    raise OSError(", ".join(map(str, places)))


def _write(table: pa.Table, path: Path, suffix: str) -> None:
    match suffix:
        case ".parquet":
            pyarrow.parquet.write_table(table, path)
        case ".csv":
            with path.open("wb") as sink:
                sink.write(BYTE_ORDER_MARK)
                pyarrow.csv.write_csv(table, sink)
        case _:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
