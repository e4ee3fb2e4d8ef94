"""A path is checked before anything is paid; what was paid for is never lost."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from databank.cli.bad_answer import BadAnswerError
from databank.cli.export import SUFFIXES, NotWrittenError, check_output, save

TABLE = pa.table({"공정": ["압연", "도금"], "kwh": [1.5, 2.0]})


@pytest.mark.parametrize("name", ["x.xlsx", "x", "no/such/folder/x.csv", "there.csv", "folder.csv"])
def test_an_unusable_path_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadAnswerError) as error:
        check_output(tmp_path / name, SUFFIXES, is_forced=False)
    assert "청구되지" in error.value.detail.ko
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    path = tmp_path / "there.csv"
    path.write_text("old")
    check_output(path, SUFFIXES, is_forced=True)
    save(TABLE, path, environment={})
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert path.read_text("utf-8-sig").splitlines() == ['"공정","kwh"', '"압연",1.5', '"도금",2']
    assert [p.name for p in tmp_path.iterdir()] == ["there.csv"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_paid_answer_that_cannot_be_written_is_kept_elsewhere(
    suffix: str, tmp_path: Path
) -> None:
    gone = tmp_path / "gone" / f"answer{suffix}"
    with pytest.raises(NotWrittenError) as error:
        save(TABLE, gone, environment={"HOME": str(tmp_path / "home")})
    kept = Path(error.value.members["file"])
    assert kept.is_relative_to(tmp_path / "home")
    assert kept.stat().st_mode & 0o077 == 0
    assert pa.ipc.open_file(kept.read_bytes()).read_all() == TABLE
    assert str(kept) in error.value.detail.ko
    assert str(kept) in error.value.detail.en


def test_a_value_that_a_format_cannot_hold_costs_nothing_again(tmp_path: Path) -> None:
    nested = pa.table({"list": [[1, 2]]})
    with pytest.raises(NotWrittenError) as error:
        save(nested, tmp_path / "x.csv", environment={"HOME": str(tmp_path / "home")})
    assert pa.ipc.open_file(Path(error.value.members["file"]).read_bytes()).read_all() == nested
    assert not list(tmp_path.glob("x.csv*"))
