"""What a decision costs: reading an agreed policy once, and deciding on each act of it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Final

import pytest

from connector.policy.entitlement import compile_policy
from connector.policy.evaluate import Act, evaluate
from schemas.ids import ParticipantId
from schemas.price import PriceComponent, PriceKind, PricePlan, Usage
from schemas.terms import (
    Mask,
    MaskMethod,
    Mode,
    Operator,
    RowCondition,
    Terms,
    from_policy,
    to_policy,
)
from tests.support.figures import Figure, Figures

ROUNDS: Final = 50
REPEATS: Final = 200
MILLISECONDS_MAX: Final = 1.0  # of one decision, read before
BUYER: Final = ParticipantId("did:web:buyer.example")
NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
FULL: Final = Terms(
    modes=(Mode.QUERY, Mode.READ),
    valid_days=365,
    recipients=(*(ParticipantId(f"did:web:buyer{n}.example") for n in range(99)), BUYER),
    columns=tuple(f"column{n}" for n in range(50)),
    masks=(Mask(column="column1", method=MaskMethod.HASH),),
    row_filter=(RowCondition(column="column2", operator=Operator.EQ, values=("1",)),),
    queries_max=1000,
    rows_max=10**6,
    bytes_max=10**9,
    purposes=("탄소 신고",),
    deletion_days=30,
)
PLAN: Final = PricePlan(components=(PriceComponent(kind=PriceKind.PER_ROW, amount_micro=1_000),))


@pytest.mark.benchmark
def test_policy(figures: Figures) -> None:
    policy = to_policy(FULL, PLAN)
    text = json.dumps(policy)
    act, used = Act(Mode.READ, BUYER, rows=10, bytes=80), Usage(acts=5, queries=3, rows=100)
    read, decided, parsed = [], [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REPEATS):
            json.loads(text)
        parsed.append(1000 * (time.perf_counter() - began) / REPEATS)
        began = time.perf_counter()
        for _ in range(REPEATS):
            from_policy(policy)
        read.append(1000 * (time.perf_counter() - began) / REPEATS)
        began = time.perf_counter()
        for _ in range(REPEATS):
            entitlement = compile_policy(policy, consumer_id=BUYER, agreed_at=NOW)
            assert evaluate(entitlement, act, used, NOW).is_allowed
        decided.append(1000 * (time.perf_counter() - began) / REPEATS)
    limit = "reading the policy's JSON"
    figures.add(
        Figure("Policy", "reading 100 recipients and 50 columns, once", "ms", read, limit, parsed)
    )
    decision = Figure("Policy", "one decision on it", "ms", decided, limit, parsed)
    figures.add(decision)
    assert decision.p50 < MILLISECONDS_MAX
