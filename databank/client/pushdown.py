"""Which conditions of a query may be tested at the supplier. Pure; in doubt: none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

# Deterministic, total on their inputs, and the same at every DuckDB.
_SAFE: Final = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.And,
    exp.Or,
    exp.Not,
    exp.Paren,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.Between,
    exp.In,
    exp.Like,
    exp.ILike,
    exp.Neg,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
)
_CAST_TYPES: Final = frozenset({"DATE", "TIMESTAMP", "TIMESTAMPTZ"})


@dataclass(slots=True)
class Uses:
    """How a query uses one dataset; one condition for each mention, none if it needs all rows."""

    columns: set[str] = field(default_factory=set)
    all_columns: bool = False
    conditions: list[exp.Expr | None] = field(default_factory=list)

    def condition(self) -> exp.Expr | None:
        """Return what holds for every row that some mention needs."""
        known = [condition for condition in self.conditions if condition is not None]
        if not known or len(known) < len(self.conditions):
            return None
        return exp.or_(*dict.fromkeys(known))


def condition_of(select: exp.Expr, alias: str) -> exp.Expr | None:
    """Return the conditions that every useful row of the source ``alias`` satisfies.

    Conditions of WHERE count for sources that no outer join can pad with NULLs; those of an
    inner or left join's ON count for the joined source, of an inner join also for the others.
    """
    if not isinstance(select, exp.Select):
        return None
    joins: list[exp.Join] = select.args.get("joins") or []
    sides = [_side(join) for join in joins]
    if any(side is None for side in sides) or select.args.get("laterals"):
        return None
    padded = {j.alias_or_name for j, side in zip(joins, sides, strict=True) if side == "LEFT"}
    found: list[exp.Expr] = []
    where = select.args.get("where")
    if where is not None and alias not in padded:
        found += _conjuncts(where.this)
    for join, side in zip(joins, sides, strict=True):
        on = join.args.get("on")
        if on is None:
            continue
        is_joined = join.alias_or_name == alias
        if is_joined or (side == "INNER" and alias not in padded):
            found += _conjuncts(on)
    own = [_bare(condition) for condition in found if _is_on(condition, alias)]
    return exp.and_(*own) if own else None


def _side(join: exp.Join) -> str | None:
    """Return INNER or LEFT; None for every join whose rows depend on more than its condition."""
    if join.args.get("method") or join.kind in {"SEMI", "ANTI"}:
        return None
    if join.args.get("using"):
        return None
    side = join.side or "INNER"
    return side if side in {"INNER", "LEFT"} else None


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _is_on(condition: exp.Expr, alias: str) -> bool:
    """Whether a condition is safe and about columns of one source."""
    columns = list(condition.find_all(exp.Column))
    return (
        bool(columns)
        and all(column.table == alias for column in columns)
        and all(_is_safe(node) for node in condition.walk())
    )


def _is_safe(node: exp.Expr) -> bool:
    if isinstance(node, exp.In):
        return not node.args.get("query") and not node.args.get("unnest")
    if isinstance(node, exp.Cast):
        return isinstance(node.this, exp.Literal) and node.to.sql() in _CAST_TYPES
    if isinstance(node, exp.DataType):
        return node.sql() in _CAST_TYPES
    return isinstance(node, _SAFE)


def _bare(condition: exp.Expr) -> exp.Expr:
    """Return the condition with columns that name no table."""
    own = condition.copy()
    for column in own.find_all(exp.Column):
        column.replace(exp.column(column.this.copy()))
    return own
