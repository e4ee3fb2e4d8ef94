"""Which SQL may run: an allow-list over the engine's own parse tree.

Rule 1: the tree comes from the engine that will run the text, never from another parser.
Rule 2: everything is refused that does not stand in a list here, so that a new engine
version can only refuse more.
Rule 3: one table may be named, the licensed one; a name counts as a CTE only where it is
in scope, since elsewhere it would reach the engine's own catalog.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

SQL_BYTES_MAX: Final = 65_536
NODES_MAX: Final = 2_000
DEPTH_MAX: Final = 120


class GateError(Exception):
    """The text holds something that is not allowed; ``construct`` says what."""

    def __init__(self, construct: str) -> None:
        super().__init__(construct)
        self.construct = construct


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
_SOURCES: Final = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST"})
_MODIFIERS: Final = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "DISTINCT_MODIFIER"})
_ORDERS: Final = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
_PLAIN: Final = _NODES | _SOURCES | _MODIFIERS | _ORDERS
_JOINS: Final = frozenset({"REGULAR", "CROSS", "NATURAL", "ASOF"})
_CLASSES: Final = _words(
    "COLUMN_REF CONSTANT STAR FUNCTION WINDOW COMPARISON CONJUNCTION OPERATOR BETWEEN CASE CAST "
    "SUBQUERY TYPE"
)
_OPERATORS: Final = _words(
    "COMPARE_IN COMPARE_NOT_IN OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_NOT "
    "OPERATOR_COALESCE OPERATOR_NULLIF GROUPING_FUNCTION"
)
_TYPES: Final = _words(
    "BOOLEAN BOOL TINYINT SMALLINT INTEGER INT INT4 INT8 BIGINT HUGEINT UTINYINT USMALLINT "
    "UINTEGER UBIGINT FLOAT REAL FLOAT4 DOUBLE FLOAT8 DECIMAL NUMERIC VARCHAR TEXT STRING CHAR "
    "DATE TIME TIMESTAMP DATETIME TIMESTAMPTZ INTERVAL"
) | {"TIMESTAMP WITH TIME ZONE", "DOUBLE PRECISION"}
FUNCTIONS: Final = _words(
    # operators
    "+ - * / // % ^ ** || ~~ !~~ ~~* !~~* like_escape ilike_escape not_like_escape "
    "not_ilike_escape "
    # aggregates
    "count_star count sum avg mean min max median mode first last any_value arg_min arg_max "
    "min_by max_by stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop "
    "covar_samp regr_slope regr_intercept regr_r2 regr_count quantile_cont quantile_disc "
    "percentile_cont percentile_disc approx_count_distinct bool_and bool_or count_if skewness "
    "kurtosis product string_agg grouping "
    # windows
    "row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value "
    "last_value nth_value "
    # numbers
    "abs round floor ceil ceiling trunc sqrt cbrt ln log log2 log10 exp pow power mod sign "
    "greatest least pi sin cos tan asin acos atan atan2 degrees radians isnan isfinite isinf even "
    "ifnull nullif coalesce width_bucket "
    # texts
    "lower upper lcase ucase length len strlen trim ltrim rtrim substring substr left right "
    "replace concat concat_ws starts_with ends_with prefix suffix contains strpos instr position "
    "reverse split_part "
    # times
    "date_trunc datetrunc date_part datepart date_diff datediff date_sub datesub date_add year "
    "quarter month week day hour minute second millisecond dayofweek dayofyear isodow weekday "
    "weekofyear yearweek dayname monthname last_day epoch epoch_ms epoch_us make_date "
    "make_timestamp strftime strptime try_strptime age to_timestamp time_bucket timezone "
    "to_years to_quarters to_months to_weeks to_days to_hours to_minutes to_seconds "
    "to_milliseconds to_microseconds current_date now get_current_timestamp today"
)
_LEAF_KEYS: Final = frozenset({"literal"})
_KEYS: Final = _words(
    # any node or expression
    "type class alias query_location query_location_length modifiers cte_map map key value aliases "
    "materialized key_targets payload_aggregates query_node node named_param_map "
    # select, set operation
    "select_list from_table where_clause group_expressions group_sets aggregate_handling having "
    "sample qualify setop_type left right setop_all children "
    # sources
    "schema_name table_name column_name_alias catalog_name at_clause qualified_name path subquery "
    "condition join_type ref_type using_columns delim_flipped duplicate_eliminated_columns "
    "is_implicit ranking_expression nearest_count nearest_order_type nearest_approx "
    "expected_names expected_types values "
    # modifiers
    "orders null_order expression limit offset limit_type distinct_on_targets "
    # expressions
    "column_names literal relation_name exclude_list replace_list columns expr "
    "qualified_exclude_list rename_list function_name schema catalog filter order_bys distinct "
    "is_operator export_state arguments name partitions start end start_expr end_expr offset_expr "
    "default_expr ignore_nulls filter_expr exclude_clause arg_orders has_ignore_nulls input lower "
    "upper case_checks when_expr then_expr else_expr child try_cast type_expr type_name "
    "subquery_type comparison_type"
)


def check(tree: str, *, dataset: str) -> None:
    """Let a parse tree of ``json_serialize_sql`` pass, or refuse it.

    Raises:
        GateError: Something in it is not allowed.
    """
    try:
        parsed = json.loads(tree)
        statements = parsed["statements"] if parsed.get("error") is False else None
    except (ValueError, KeyError, AttributeError, RecursionError):
        statements = None
    if statements is None:
        raise GateError("not a SELECT that can be read")
    if not isinstance(statements, list) or len(statements) != 1:
        raise GateError("more than one statement")
    statement = statements[0]
    if not isinstance(statement, dict) or set(statement) != {"node", "named_param_map"}:
        raise GateError("statement")
    if statement["named_param_map"]:
        raise GateError("parameter")
    _Walk(dataset.casefold()).node(statement["node"], frozenset(), 0)


@dataclass(slots=True)
class _Walk:
    dataset: str
    seen: int = 0

    def node(self, node: object, scope: frozenset[str], depth: int) -> None:
        """Check a SELECT or set operation: CTEs in order, then the rest in their scope."""
        if not isinstance(node, dict) or node.get("type") not in _NODES or "class" in node:
            raise GateError("statement")
        self._count(node, depth)
        for name, value in node.items():
            if name == "cte_map":
                scope = self._ctes(value, scope, depth + 1)
        for name, value in node.items():
            if name != "cte_map":
                self._value(value, scope, depth + 1)

    def _ctes(self, cte_map: object, scope: frozenset[str], depth: int) -> frozenset[str]:
        if not isinstance(cte_map, dict) or set(cte_map) != {"map"}:
            raise GateError("WITH")
        for entry in cte_map["map"]:
            name, value = str(entry["key"]).casefold(), entry["value"]
            if name == self.dataset:
                raise GateError(f"WITH {name}: the dataset's own name")
            if set(value) - _KEYS or value["key_targets"] or value["payload_aggregates"]:
                raise GateError("WITH")
            self.node(value["query_node"], scope, depth + 1)
            scope |= {name}
        return scope

    def _value(self, value: object, scope: frozenset[str], depth: int) -> None:
        if isinstance(value, list):
            for item in value:
                self._value(item, scope, depth + 1)
        elif isinstance(value, dict):
            self._mapping(value, scope, depth)
        elif value is not None and not isinstance(value, str | int | float):
            raise GateError("statement")

    def _mapping(self, value: dict[str, Any], scope: frozenset[str], depth: int) -> None:
        if value.get("type") in _NODES and "class" not in value:
            self.node(value, scope, depth)
            return
        self._count(value, depth)
        if "class" in value:
            _check_expression(value)
        elif "type" in value:
            _check_plain(value, scope | {self.dataset})
        elif value.get("named_param_map"):
            raise GateError("parameter")
        for name, child in value.items():
            if name not in _LEAF_KEYS:
                self._value(child, scope, depth + 1)

    def _count(self, value: dict[str, Any], depth: int) -> None:
        self.seen += 1
        if self.seen > NODES_MAX or depth > DEPTH_MAX:
            raise GateError("too large a statement")
        if unknown := set(value) - _KEYS:
            raise GateError(f"{min(unknown)}"[:40])
        if value.get("sample") is not None:
            raise GateError("TABLESAMPLE")


def _check_plain(value: dict[str, Any], tables: frozenset[str]) -> None:
    kind = value["type"]
    if kind not in _PLAIN:
        raise GateError(str(kind)[:40].replace("_", " ").lower())
    if kind == "JOIN" and value["ref_type"] not in _JOINS:
        raise GateError(f"{value['ref_type']} JOIN"[:40])
    if kind != "BASE_TABLE":
        return
    name = str(value["table_name"])
    if value["schema_name"] or value["catalog_name"] or value["at_clause"] is not None:
        raise GateError("schema, catalog or version of a table")
    if value["qualified_name"]["path"] != [name] or name.casefold() not in tables:
        raise GateError(f"table {name}"[:80])


def _check_expression(value: dict[str, Any]) -> None:
    kind = value["class"]
    if kind not in _CLASSES:
        raise GateError(str(kind)[:40].lower())
    if kind in {"FUNCTION", "WINDOW"}:
        _check_function(value)
    elif kind == "OPERATOR" and value["type"] not in _OPERATORS:
        raise GateError(str(value["type"])[:40])
    elif kind == "STAR" and (value["columns"] or value["expr"] is not None):
        raise GateError("COLUMNS(…)")
    elif kind == "TYPE":
        _check_type(value)


def _check_function(value: dict[str, Any]) -> None:
    name = str(value["function_name"])
    if value["schema"] or value["catalog"] or value["qualified_name"]["path"] != [name]:
        raise GateError("function of a schema")
    if name.casefold() not in FUNCTIONS:
        raise GateError(f"function {name}"[:80])
    if value.get("export_state"):
        raise GateError("EXPORT_STATE")


def _check_type(value: dict[str, Any]) -> None:
    name = str(value["type_name"])
    if value["catalog"] or value["schema"] or value["qualified_name"]["path"] != [name]:
        raise GateError("type of a schema")
    if name.upper() not in _TYPES:
        raise GateError(f"type {name}"[:80])
    if any(child.get("class") != "CONSTANT" for child in value["children"]):
        raise GateError(f"type {name} of types"[:80])
