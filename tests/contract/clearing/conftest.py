"""A clearing service on a real port, for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bank import Bank, Company, company, open_bank
from tests.support.chain import Chain


@pytest.fixture
def bank(tmp_path: Path, database_url: str) -> Iterator[Bank]:
    with open_bank(tmp_path, database_url) as opened:
        yield opened


@pytest.fixture
def steel(bank: Bank) -> Company:
    made = company("steel", "광양제철")
    bank.join(made)
    return made


@pytest.fixture
def curator(bank: Bank) -> Company:
    made = company("curator", "큐레이터")
    bank.join(made)
    return made


@pytest.fixture
def chain(bank: Bank) -> Chain:
    return Chain(bank)
