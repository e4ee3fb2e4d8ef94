"""The licensed relation: exactly what the terms say, against an oracle in plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.publish.arrow_file import write_partial
from connector.relation.derive import derive
from connector.relation.model import Relation, TermsDoNotFitError
from schemas.dataset import Column, ColumnType, DatasetSchema
from schemas.terms import Mask, MaskMethod, Operator, RowCondition
from schemas.wire import Text

KEY: Final = b"a key of the tests"
NAMES: Final = ("plant", "n", "kwh", "made", "at", "공정")
SCHEMA: Final = DatasetSchema(
    columns=tuple(
        Column(name=name, type=kind, label=Text(ko=name, en=name))
        for name, kind in zip(
            NAMES,
            (
                ColumnType.TEXT,
                ColumnType.INTEGER,
                ColumnType.NUMBER,
                ColumnType.DATE,
                ColumnType.TIME,
                ColumnType.TEXT,
            ),
            strict=True,
        )
    )
)
Row = tuple[Any, ...]
MOMENTS = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2040, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from(["p-1", "p-2", "p-3", ""]),
        st.none() | st.integers(-50, 50),
        st.none() | st.integers(-500, 500).map(lambda n: n / 4),
        st.none() | st.dates(date(1990, 1, 1), date(2040, 1, 1)),
        st.none() | MOMENTS,
        st.none() | st.text(max_size=4),
    ),
    max_size=30,
)
CONDITIONS = st.one_of(
    st.builds(
        RowCondition,
        column=st.just("n"),
        operator=st.sampled_from([*Operator][:6]),
        values=st.integers(-5, 5).map(lambda n: (str(n),)),
    ),
    st.builds(
        RowCondition,
        column=st.just("plant"),
        operator=st.sampled_from([Operator.ANY_OF, Operator.NONE_OF]),
        values=st.lists(st.sampled_from(["p-1", "p-2", "x"]), min_size=1).map(tuple),
    ),
)
MASKS: Final[dict[str, list[tuple[str, str | None]]]] = {
    "plant": [("blank", None), ("hash", None), ("prefix", "2")],
    "n": [("blank", None), ("hash", None), ("round", "10")],
    "kwh": [("blank", None), ("round", "0.5")],
    "made": [("month", None), ("year", None), ("hash", None)],
    "at": [("day", None), ("month", None), ("year", None)],
    "공정": [("prefix", "1"), ("hash", None)],
}


@st.composite
def relations(draw: st.DrawFn) -> Relation:
    columns = draw(st.sets(st.sampled_from(NAMES)))
    hidden = draw(st.sets(st.sampled_from(sorted(columns or NAMES))))
    masks = []
    for name in sorted(hidden):
        method, argument = draw(st.sampled_from(MASKS[name]))
        masks.append(Mask(column=name, method=MaskMethod(method), argument=argument))
    return Relation(tuple(columns), tuple(masks), tuple(draw(st.lists(CONDITIONS, max_size=2))))


COMPARISONS: Final[dict[Operator, Callable[[Any, list[Any]], bool]]] = {
    Operator.EQ: lambda value, given: value == given[0],
    Operator.NEQ: lambda value, given: value != given[0],
    Operator.LT: lambda value, given: value < given[0],
    Operator.LTEQ: lambda value, given: value <= given[0],
    Operator.GT: lambda value, given: value > given[0],
    Operator.GTEQ: lambda value, given: value >= given[0],
    Operator.ANY_OF: lambda value, given: value in given,
    Operator.NONE_OF: lambda value, given: value not in given,
}


def fits(row: dict[str, Any], condition: RowCondition) -> bool:
    value = row[condition.column]
    if value is None:
        return False
    return COMPARISONS[condition.operator](value, [type(value)(v) for v in condition.values])


def masked(value: Any, mask: Mask | None) -> Any:
    if mask is None or value is None:
        return value
    match mask.method:
        case MaskMethod.BLANK:
            return None
        case MaskMethod.PREFIX:
            return value[: int(mask.argument or 0)]
        case MaskMethod.ROUND:
            step = Decimal(mask.argument or 1)
            return type(value)(round(Decimal(value) / step) * step)
        case MaskMethod.DAY:
            return value.replace(hour=0, minute=0, second=0, microsecond=0)
        case MaskMethod.MONTH:
            day = value.replace(day=1)
            return day if type(value) is date else masked(day, _day(mask))
        case MaskMethod.YEAR:
            day = value.replace(month=1, day=1)
            return day if type(value) is date else masked(day, _day(mask))
        case MaskMethod.HASH:
            return ("pseudonym of", value)


def _day(mask: Mask) -> Mask:
    return Mask(column=mask.column, method=MaskMethod.DAY)


def derived(rows: list[Row], relation: Relation, key: bytes = KEY) -> tuple[pa.Table, bytes]:
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in NAMES]
    arrow = SCHEMA.to_arrow().with_metadata({"idb.source": "x.csv sha256:abc", "idb.dataset": "d"})
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, arrow, strict=True)], arrow)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        write_partial(table, source)
        schema = derive(source, target, relation, key=key)
        content = target.read_bytes()
    made = pa.ipc.open_file(content).read_all()
    made.validate(full=True)
    assert DatasetSchema.from_arrow(made.schema) == schema
    return made, content


@settings(deadline=None)
@given(ROWS, relations())
def test_a_licensed_relation_is_what_plain_python_makes_of_the_terms(
    rows: list[Row], relation: Relation
) -> None:
    made, _ = derived(rows, relation)
    names = [n for n in NAMES if n in (relation.columns or NAMES)]
    assert made.column_names == names
    masks = {mask.column: mask for mask in relation.masks}
    licensed = [dict(zip(NAMES, row, strict=True)) for row in rows]
    licensed = [r for r in licensed if all(fits(r, c) for c in relation.row_filter)]
    assert made.num_rows == len(licensed)
    for name in names:
        mask, got = masks.get(name), made[name].to_pylist()
        expected = [masked(row[name], mask) for row in licensed]
        if mask is not None and mask.method is MaskMethod.HASH:
            pairs = set(zip(expected, got, strict=True))
            assert len({e for e, _ in pairs}) == len({g for _, g in pairs}) == len(pairs)
            assert all((e is None) == (g is None) for e, g in pairs)
        else:
            assert got == expected


def test_no_byte_of_what_is_hidden_is_in_the_file() -> None:
    hidden = ["HIDDEN-ROW", "HIDDEN-MASKED", "HIDDEN-COLUMN", "HIDDEN-SOURCE"]
    rows: list[Row] = [
        ("HIDDEN-ROW", 1, 1.0, None, None, "x"),
        ("HIDDEN-MASKED", 2, 2.0, None, None, "HIDDEN-COLUMN"),
    ]
    whole = derived(rows, Relation())[1]
    assert [word for word in hidden if word.encode() in whole] == hidden[:3]
    mask = Mask(column="plant", method=MaskMethod.HASH)
    only = RowCondition(column="n", operator=Operator.EQ, values=("2",))
    made, content = derived(rows, Relation(("plant", "n"), (mask,), (only,)))
    assert made.num_rows == 1
    assert [word for word in (*hidden, "x.csv", "공정") if word.encode() in content] == []


def test_pseudonyms_need_their_key() -> None:
    rows: list[Row] = [("p-1", 1, None, None, None, "p-1")]
    masks = tuple(Mask(column=name, method=MaskMethod.HASH) for name in ("plant", "공정"))
    first, again, other = (
        derived(rows, Relation((), masks), key)[0].to_pylist()[0] for key in (KEY, KEY, b"other")
    )
    assert first == again
    assert first["plant"] != other["plant"]
    assert first["plant"] != first["공정"]  # two columns cannot be joined by their pseudonyms


@pytest.mark.parametrize(
    "relation",
    [
        Relation(("no_such",)),
        Relation((), (Mask(column="no_such", method=MaskMethod.BLANK),)),
        Relation((), (Mask(column="plant", method=MaskMethod.ROUND, argument="1"),)),
        Relation((), (Mask(column="kwh", method=MaskMethod.PREFIX, argument="1"),)),
        Relation((), (), (RowCondition(column="plant", operator=Operator.LT, values=("a",)),)),
        Relation((), (), (RowCondition(column="n", operator=Operator.EQ, values=("x",)),)),
        Relation((), (), (RowCondition(column="kwh", operator=Operator.EQ, values=("nan",)),)),
        Relation((), (), (RowCondition(column="at", operator=Operator.EQ, values=("noon",)),)),
        Relation((), (), (RowCondition(column="zz", operator=Operator.EQ, values=("1",)),)),
    ],
)
def test_terms_that_do_not_fit_the_columns_are_refused(relation: Relation) -> None:
    with pytest.raises(TermsDoNotFitError):
        relation.licensed(SCHEMA)
