"""Agreements made before their ends were stored keep them when the tables change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import alembic.command
import pytest
from sqlalchemy import text

from connector.agreement import store as agreements
from databank.kit.db import Database, migration_config
from schemas.ids import AgreementId
from schemas.price import PricePlan
from schemas.terms import Terms, to_policy

AGREED = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
COLUMNS = (
    "agreement_id, side, provider_id, consumer_id, dataset_id, dataset_title, policy_json, "
    "agreed_at, is_terminated"
)


def put(database: Database, name: str, policy: dict[str, Any], *, is_terminated: bool) -> None:
    values = {
        "name": name,
        "policy": json.dumps(policy),
        "at": AGREED if database.url.startswith("postgresql") else AGREED.replace(tzinfo=None),
        "ended": is_terminated,
    }
    with database.engine.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO connector_agreement ({COLUMNS}) VALUES "
                "(:name, 'consumer', 'p', 'c', 'd', 't', :policy, :at, :ended)"
            ),
            values,
        )


@pytest.mark.parametrize("foreign", [{}, {"permission": [{"constraint": [{"leftOperand": 1}]}]}])
def test_ends_are_taken_over(database_url: str, foreign: dict[str, Any]) -> None:
    database = Database(database_url)
    with database.engine.connect() as connection:
        alembic.command.upgrade(migration_config("connector", connection), "0004")
        connection.commit()
    timed = to_policy(Terms(valid_days=30, valid_until=AGREED + timedelta(days=60)), PricePlan())
    put(database, "timed", timed, is_terminated=False)
    put(database, "ended", to_policy(Terms(), PricePlan()), is_terminated=True)
    put(database, "foreign", foreign, is_terminated=False)
    database.migrate("connector")
    with database.unit_of_work() as uow:
        found = {n: agreements.get(uow, AgreementId(n)) for n in ("timed", "ended", "foreign")}
    database.close()
    timed_one, ended, strange = found["timed"], found["ended"], found["foreign"]
    assert timed_one is not None
    assert (timed_one.ends_at, timed_one.end) == (AGREED + timedelta(days=30), None)
    assert ended is not None
    assert ended.is_terminated
    assert strange is not None
    assert (strange.ends_at, strange.end) == (None, None)
