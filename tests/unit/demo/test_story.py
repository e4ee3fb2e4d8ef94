"""The walk's companies are well-formed, its data are the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from databank.client.plan import find_refs
from databank.demo.check import find_faults
from databank.demo.story import generated_story, with_check_digit
from schemas.bank import TrialBalance
from schemas.ids import parse_brn


def test_numbers_have_a_valid_check_digit() -> None:
    assert with_check_digit("120814752") == "1208147521"
    numbers = {with_check_digit(f"{n:09d}") for n in range(300)}
    assert all(parse_brn(number) == number for number in numbers)


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    same = [generated_story(tmp_path / name, seed=1) for name in ("a", "b")]
    other = generated_story(tmp_path / "c", seed=2)
    for first, second, third in zip(
        *[[o.file.read_bytes() for o in story.offerings] for story in (*same, other)], strict=True
    ):
        assert first == second != third


def test_the_joined_query_reads_all_three(tmp_path: Path) -> None:
    story = generated_story(tmp_path, seed=1)
    assert {str(ref) for ref in find_refs(story.joined_sql)} == {o.ref for o in story.offerings}


@pytest.mark.parametrize("off_by", [0, 1])
def test_a_sum_that_is_off_is_found(off_by: int) -> None:
    books = TrialBalance(
        accrual_debits_micro=5,
        accrual_credits_micro=5 + off_by,
        cash_debits_won=7,
        cash_credits_won=7,
        records_count=2,
        entries_count=1,
    )
    faults = find_faults([], [], books, charged=[], acts_count=2)
    assert faults == (["accrual debits = credits: 5 ≠ 6"] if off_by else [])
