"""Words of SQL that cannot be a name without quotes: no handle and no dataset is called so.

The list is that of DuckDB 2, ``duckdb_keywords()`` of the categories ``reserved`` and
``type_function``; a test compares it with the engine.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = (
    "all analyse analyze and anti any array as asc asof asymmetric at authorization "
    "binary both by case cast check collate collation column columns concurrently "
    "constraint create cross default deferrable desc describe distinct do else end except "
    "false fetch for foreign freeze from full generated glob group having ilike in "
    "initially inner intersect into is isnull join lambda lateral leading left like limit "
    "map natural not notnull null offset on only or order outer overlaps pivot "
    "pivot_longer pivot_wider placing positional primary qualify references returning "
    "right select semi show similar some struct summarize symmetric table tablesample "
    "then to trailing true try_cast tuple union unique unpack unpivot using variadic "
    "verbose when where window with "
)
SQL_WORDS: Final = frozenset(_TEXT.split())


def check_sql_name(name: str) -> str:
    """Return ``name`` if SQL takes it without quotes.

    Raises:
        ValueError: It is a word of SQL; the text says what to do.
    """
    if name.lower() in SQL_WORDS:
        raise ValueError(
            f"'{name}'은(는) SQL 낱말이라 이름으로 쓸 수 없습니다. '{name}_1'처럼 바꾸세요 "
            f"('{name}' is a word of SQL: call it '{name}_1', for example)"
        )
    return name
