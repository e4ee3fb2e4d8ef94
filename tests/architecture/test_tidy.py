"""What a reviewer would say twice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.sources import (
    PACKAGES,
    SERVICES,
    Source,
    product,
    sources,
    sources_of_tests,
)

FUNCTION_LINES_MAX: Final = 60
MODULE_LINES_MAX: Final = 500
LONG_FUNCTIONS: Final[dict[str, str]] = {}  # "path:function": why it reads better whole
LEFTOVERS: Final = re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP)\b|NotImplementedError|breakpoint\(")
VAGUE_NAMES: Final = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
MAY_COMMIT: Final = {"databank/kit/db.py"}
MAY_SLEEP: Final = ("tests/support/", "tests/e2e/")
THIS_FILE: Final = "tests/architecture/test_tidy.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[Function]:
    for node in ast.walk(source.tree):
        if isinstance(node, Function):
            yield node


def calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


def place(source: Source, node: ast.stmt | ast.expr) -> str:
    return f"{source.name}:{node.lineno}"


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{source.name}:{node.name}"
        for source in sources()
        for node in functions(source)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert long == set(LONG_FUNCTIONS)


def test_modules_are_one_noun() -> None:
    lines = {source.name: source.text.count("\n") for source in sources()}
    assert {name: n for name, n in lines.items() if n > MODULE_LINES_MAX} == {}


def test_modules_have_telling_names() -> None:
    assert [source.name for source in product() if source.stem in VAGUE_NAMES] == []


def test_modules_say_what_they_own() -> None:
    silent = [
        source.name for source in product() if source.text and not ast.get_docstring(source.tree)
    ]
    assert silent == []


def test_nothing_is_left_over() -> None:
    found = [
        f"{source.name}:{number}: {line.strip()}"
        for source in sources()
        if source.name != THIS_FILE
        for number, line in enumerate(source.text.splitlines(), 1)
        if LEFTOVERS.search(line)
    ]
    assert found == []


def test_only_the_unit_of_work_commits() -> None:
    found = [
        place(source, call)
        for source in product()
        if source.name not in MAY_COMMIT
        for call in calls(source)
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback"}
    ]
    assert found == []


def row_classes(source: Source) -> Iterator[ast.ClassDef]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            keywords = {keyword.arg for keyword in node.keywords}
            if "table" in keywords:
                yield node


def test_rows_stand_in_stores_and_name_their_table() -> None:
    wrong = []
    for source in sources():
        for row in row_classes(source):
            table = _table_name(row)
            prefixes = ("seen_token",) if source.package == "databank" else (f"{source.package}_",)
            is_named = row.name.endswith("Row") and table.startswith(prefixes)
            if source.stem != "store" or not is_named:
                wrong.append(f"{place(source, row)}: {row.name} {table}")
    assert wrong == []


def _table_name(row: ast.ClassDef) -> str:
    for node in row.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__tablename__":
            value = ast.literal_eval(node.value)
            assert isinstance(value, str)
            return value
    return ""


def test_rows_never_leave_their_store() -> None:
    rows = {row.name for source in product() for row in row_classes(source)}
    assert rows, "no table found: this test looks for the wrong thing"
    found = [
        f"{place(source, node)}: {alias.name}"
        for source in product()
        if source.stem != "store"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in rows
    ]
    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_store_is_registered_for_migrations(service: str) -> None:
    stores = {
        source.name.removesuffix(".py").replace("/", ".")
        for source in product()
        if source.package == service and list(row_classes(source))
    }
    [tables] = [source for source in product() if source.name == f"{service}/tables.py"]
    imported = set()
    for node in ast.walk(tables.tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported |= {str(node.module)}
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert stores - imported == set()


def test_tests_wait_on_conditions_and_never_sleep() -> None:
    found = [
        place(source, call)
        for source in sources_of_tests()
        if not source.name.startswith(MAY_SLEEP)
        for call in calls(source)
        if ast.unparse(call.func) in {"time.sleep", "sleep", "asyncio.sleep"}
    ]
    assert found == []


def test_tests_mock_nothing_of_ours() -> None:
    found = [
        place(source, node)
        for source in sources_of_tests()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        if "mock" in ast.unparse(node)
    ]
    assert found == []


def test_tests_skip_only_for_what_the_machine_lacks() -> None:
    allowed = {"tests/support/needs.py", "tests/support/shared.py"}
    found = [
        place(source, node)
        for source in sources_of_tests()
        if source.name not in allowed
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        if ast.unparse(node).startswith("pytest.")
        if node.attr in {"skip", "skipif", "xfail", "importorskip"}
    ]
    assert found == []


def test_every_package_is_typed() -> None:
    assert {source.package for source in product()} == set(PACKAGES)
