"""Which statements are faster over the Arrow file than over its engine copy.

Plain aggregates of whole columns: the mapped file needs no decoding, and there is nothing to
skip. Everything else is faster over the copy, or as fast; measured in decision 0032.
"""

from __future__ import annotations

import json
from typing import Any, Final

PLAIN: Final = frozenset(
    {"sum", "avg", "mean", "min", "max", "count", "count_star", "+", "-", "*", "/"}
)


def reads_every_row_once(tree: str) -> bool:
    """Whether a parse tree of the gate is a plain aggregate of one table's columns."""
    node = json.loads(tree)["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or node["cte_map"]["map"] or node["modifiers"]:
        return False
    if node["from_table"]["type"] != "BASE_TABLE":
        return False
    if node["where_clause"] is not None or node["group_expressions"] or node["having"] is not None:
        return False
    return all(_is_plain(item) for item in node["select_list"])


def _is_plain(item: dict[str, Any]) -> bool:
    """Whether an item is made of the plain functions over columns and constants."""
    kind = item["class"]
    if kind in {"CONSTANT", "COLUMN_REF"}:
        return True
    if kind != "FUNCTION" or item["function_name"] not in PLAIN:
        return False
    if item["distinct"] or item["filter"]:
        return False
    return all(_is_plain(argument["expression"]) for argument in item["arguments"])
