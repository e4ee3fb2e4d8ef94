"""Net positions from statements: what each party gets less what it pays; the sum is zero (I12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from schemas.bank import Statement
from schemas.close import NetPosition

OPERATOR: Final = "operator"
OPERATOR_NAME: Final = "산업데이터은행"


class UnbalancedError(AssertionError):
    """Net positions do not add up to zero; nothing may be paid out."""


def net_positions(statements: Iterable[Statement]) -> tuple[NetPosition, ...]:
    """Return the position of every party, by id, and the operator's last.

    Args:
        statements: All statements of a run. A purchase and the sale it is of stand in two.

    Raises:
        UnbalancedError: What was bought is not what was sold and kept as fees.
    """
    found: dict[str, NetPosition] = {}
    fees = 0
    for each in statements:
        before = found.get(each.participant_id)
        bought = each.purchases_total_won + (before.purchases_won if before else 0)
        sold = each.sales_total_won + (before.sales_won if before else 0)
        fees += each.fee_total_won
        found[each.participant_id] = NetPosition(
            participant_id=each.participant_id,
            participant_name=each.participant_name,
            purchases_won=bought,
            sales_won=sold,
            net_won=sold - bought,
        )
    operator = NetPosition(
        participant_id=OPERATOR,
        participant_name=OPERATOR_NAME,
        purchases_won=0,
        sales_won=fees,
        net_won=fees,
    )
    positions = (*(found[id_] for id_ in sorted(found)), operator)
    if (rest := sum(each.net_won for each in positions)) != 0:
        raise UnbalancedError(f"net positions add up to {rest} won")
    return positions
