"""Enough of Turtle for the ODRL test suite: names, IRIs, typed literals, lists of objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<iri><[^>]*>)|(?P<text>"[^"]*")(?:\^\^\S*?(?=[\s;,.]))?"""
    r"""|(?P<end>[;,.])(?=\s|$)|(?P<name>[^\s;,<>"]+?)(?=\s*[;,](?:\s|$)|\.?(?:\s|$))"""
)
Graph = dict[str, dict[str, list[str]]]


def read_turtle(path: Path) -> Graph:
    """Return subject, predicate, objects; IRIs without brackets, literals without type."""
    graph: Graph = {}
    statement: list[str] = []
    for match in _TOKEN.finditer(path.read_text(encoding="utf-8")):
        kind, token = str(match.lastgroup), match[0]
        if kind == "comment":
            continue
        if kind in {"iri", "text"}:
            token = (match["iri"] or match["text"])[1:-1]
        if kind != "end":
            statement.append(token)
            continue
        if not statement or statement[0] == "@prefix":
            statement = []
            continue
        subject, predicate, thing = statement
        graph.setdefault(subject, {}).setdefault(predicate, []).append(thing)
        statement = {";": [subject], ",": [subject, predicate], ".": []}[token]
    assert not statement, statement
    return graph
