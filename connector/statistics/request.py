"""Which SQL may be asked for statistics: one form, read from the engine's own parse tree.

``SELECT groups, count/sum/avg FROM dataset WHERE group = constant AND group IN (constants)
GROUP BY groups``. Rule: whatever is not of this form is refused; the text itself never runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from connector.dataplane.gate import GateError

REQUEST_KEY: Final = b"idb.request"  # metadata of contributions: what was asked for
UNITS_MAX: Final = "1e18"
FUNCTIONS: Final = frozenset({"count", "sum", "avg", "mean"})
_PLAIN_SELECT: Final[dict[str, Any]] = {
    "modifiers": [],
    "aggregate_handling": "STANDARD_HANDLING",
    "having": None,
    "sample": None,
    "qualify": None,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The columns that statistics may be about."""

    entity: str
    groups: tuple[str, ...]
    measures: tuple[str, ...]
    steps: tuple[str, ...] | None = None  # of each measure, where sums are noisy whole numbers

    def to_json(self) -> dict[str, Any]:
        """Return the scope as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Scope:
        """Read what ``to_json`` wrote."""
        steps = None if said["steps"] is None else tuple(said["steps"])
        return cls(said["entity"], tuple(said["groups"]), tuple(said["measures"]), steps)


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the answer: a group, or ``function`` of ``column`` (None: of rows)."""

    name: str
    column: str | None
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the answer's columns, the groups, and the values that groups must have."""

    items: tuple[Item, ...]
    groups: tuple[str, ...]
    conditions: dict[str, list[str | None]]

    def to_json(self) -> str:
        """Return the request as a text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read what ``to_json`` wrote."""
        said = json.loads(text)
        items = tuple(Item(**item) for item in said["items"])
        return cls(items, tuple(said["groups"]), said["conditions"])


def read_request(tree: str, scope: Scope) -> Request:
    """Read a parse tree that has passed the gate.

    Raises:
        GateError: It is not of the form that statistics are asked in.
    """
    node = json.loads(tree)["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or node["cte_map"]["map"]:
        raise GateError("statistics: one SELECT without WITH")
    for name, plain in _PLAIN_SELECT.items():
        if node[name] != plain:
            raise GateError(f"statistics: {name.replace('_', ' ')}"[:60])
    table = node["from_table"]
    if table["type"] != "BASE_TABLE" or table["column_name_alias"]:
        raise GateError("statistics: FROM something else than the dataset")
    reader = _Reader(scope)
    items = tuple(map(reader.item, node["select_list"]))
    groups = tuple(reader.grouped(one, items) for one in node["group_expressions"])
    expected = [list(range(len(groups)))] if groups else []
    if node["group_sets"] != expected or len(set(groups)) != len(groups):
        raise GateError("statistics: ROLLUP, CUBE or GROUPING SETS")
    if any(item.function is None and item.column not in groups for item in items):
        raise GateError("statistics: a column that is not grouped by")
    if all(item.function is None for item in items):
        raise GateError("statistics: nothing is counted or summed")
    names = [item.name.casefold() for item in items]
    if len(set(names)) != len(names):
        raise GateError("statistics: two columns of the same name")
    conditions: dict[str, list[str | None]] = {}
    if node["where_clause"] is not None:
        reader.conditions(node["where_clause"], conditions)
    return Request(items, groups, conditions)


class _Reader:
    def __init__(self, scope: Scope) -> None:
        self._groups = {name.casefold(): name for name in scope.groups}
        self._measures = {name.casefold(): name for name in scope.measures}

    def _group(self, node: dict[str, Any]) -> str:
        name = _column(node)
        if name is None or name.casefold() not in self._groups:
            raise GateError(f"statistics: {name or 'an expression'} is not a group")
        return self._groups[name.casefold()]

    def item(self, node: dict[str, Any]) -> Item:
        alias = str(node["alias"])
        if node["class"] != "FUNCTION":
            column = self._group(node)
            return Item(alias or column, column)
        function = str(node["function_name"]).casefold()
        is_plain = not (node["filter"] or node["distinct"] or node["order_bys"]["orders"])
        if not is_plain or node["is_operator"]:
            raise GateError(f"statistics: {function} with DISTINCT, FILTER or ORDER BY")
        if function == "count_star":
            return Item(alias or "count", None, "count")
        if function not in FUNCTIONS or len(node["arguments"]) != 1:
            raise GateError(f"statistics: function {function}"[:80])
        argument = _column(node["arguments"][0]["expression"])
        if argument is None or argument.casefold() not in self._measures:
            raise GateError(f"statistics: {function} of {argument or 'an expression'}"[:80])
        column = self._measures[argument.casefold()]
        function = "avg" if function == "mean" else function
        return Item(alias or f"{function}_{column}", column, function)

    def grouped(self, node: dict[str, Any], items: tuple[Item, ...]) -> str:
        if node["class"] != "CONSTANT":
            return self._group(node)
        text = str(node["literal"]["text"])
        position = int(text) - 1 if text.isascii() and text.isdigit() else -1
        if not 0 <= position < len(items) or items[position].function is not None:
            raise GateError("statistics: GROUP BY")
        column = items[position].column
        assert column is not None
        return column

    def conditions(self, node: dict[str, Any], found: dict[str, list[str | None]]) -> None:
        kind = node["type"]
        if kind == "CONJUNCTION_AND":
            for child in node["children"]:
                self.conditions(child, found)
            return
        if kind == "COMPARE_EQUAL":
            column, values = node["left"], [node["right"]]
        elif kind == "COMPARE_IN":
            column, *values = node["children"]
        else:
            raise GateError("statistics: WHERE other than group = value and group IN (values)")
        name = self._group(column)
        texts: list[str | None] = [_constant(value) for value in values]
        before = found.get(name)
        found[name] = texts if before is None else [text for text in before if text in texts]


def _column(node: dict[str, Any]) -> str | None:
    return str(node["column_names"][-1]) if node["class"] == "COLUMN_REF" else None


def _constant(node: dict[str, Any]) -> str:
    literal = node.get("literal")
    if node["class"] != "CONSTANT" or not isinstance(literal, dict) or "text" not in literal:
        raise GateError("statistics: a value that is not a constant")
    return str(literal["text"])


def atoms_sql(scope: Scope, dataset: str) -> str:
    """Return our own SQL: for each combination of all groups and each entity its contribution.

    Columns: ``g0…`` groups, ``t0…`` the same as texts, ``entity``, ``n`` rows, then for each
    measure ``n_i`` values, ``s_i`` their sum and ``w_i`` the sum of their magnitudes; with
    ``steps`` instead ``n_i`` finite values and ``u_i`` their sum in steps, exactly. Without
    ``steps`` rows are told apart by ``given``, a 1 for each measure that has a value in them,
    else 0. Rows that belong to nobody are left out.
    """
    groups = [_quoted(name) for name in scope.groups]
    parts = [f"{name} AS g{i}" for i, name in enumerate(groups)]
    parts += [f"CAST({name} AS VARCHAR) AS t{i}" for i, name in enumerate(groups)]
    parts += [f"CAST({_quoted(scope.entity)} AS VARCHAR) AS entity", "count(*) AS n"]
    if scope.steps is None:
        given = [f"CAST({_quoted(one)} IS NOT NULL AS INTEGER)" for one in scope.measures]
        parts += [f"concat('', {', '.join(given)}) AS given" if given else "'' AS given"]
    for i, column in enumerate(scope.measures):
        value = f"CAST({_quoted(column)} AS DOUBLE)"
        if scope.steps is not None:
            parts += _in_steps(i, value, scope.steps[i])
            continue
        parts += [
            f"count({value}) AS n_{i}",
            f"coalesce(sum({value}), 0) AS s_{i}",
            f"coalesce(sum(abs({value})), 0) AS w_{i}",
        ]
    listed, source, owner = ", ".join(parts), _quoted(dataset), _quoted(scope.entity)
    return f"SELECT {listed} FROM {source} WHERE {owner} IS NOT NULL GROUP BY ALL ORDER BY ALL"  # noqa: S608 - names of a schema, quoted


def _in_steps(number: int, value: str, step: str) -> list[str]:
    most = UNITS_MAX  # of one row: far beyond any bound, and no sum of rows overflows
    units = f"CAST(round(least(greatest({value} / {step}::DOUBLE, -{most}), {most})) AS HUGEINT)"
    return [
        f"count({value}) FILTER (WHERE isfinite({value})) AS n_{number}",
        f"coalesce(sum({units}) FILTER (WHERE isfinite({value})), 0) AS u_{number}",
    ]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
