"""The form of a counter-offer: a proposal as texts to edit, and back. Pure.

The fields follow from ``Terms`` and ``PriceKind``, so that a new term has its field at once.
What is left as it was shown keeps its value exactly; a field that was not sent keeps it too, so
that a form of yesterday never lifts a limit of today.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import ValidationError

from schemas.money import format_won, parse_won
from schemas.price import AMOUNT_MICRO_MAX, PriceComponent, PriceKind, PricePlan
from schemas.price_form import LIMIT_WORDS, parse_component, write_component
from schemas.proposal import Proposal, plan_fault
from schemas.shown import SEOUL, clean_text, in_seoul
from schemas.terms import Terms
from schemas.wire import Text

Sent = Mapping[str, Sequence[str]]  # every value of each name, as a browser sends a form


class Kind(StrEnum):
    """How a field is shown."""

    MONEY = "money"
    NUMBER = "number"
    TIME = "time"
    FLAG = "flag"
    ONE_OF = "one-of"
    ANY_OF = "any-of"
    LINE = "line"
    LINES = "lines"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field: what stands in it (``texts``), and what is wrong with that."""

    name: str
    kind: Kind
    texts: tuple[str, ...]
    options: tuple[str, ...] = ()
    error: Text | None = None

    @property
    def text(self) -> str:
        """What stands in a field of one text."""
        return self.texts[0] if self.texts else ""

    @property
    def key(self) -> str:
        """The field of ``Terms``, or the kind of price."""
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class CounterForm:
    """A form as it is shown; ``error`` is about no field alone."""

    prices: tuple[FormField, ...]
    terms: tuple[FormField, ...]
    error: Text | None = None

    @property
    def is_faulty(self) -> bool:
        """Whether anything in it has to be corrected."""
        return self.error is not None or any(f.error for f in (*self.prices, *self.terms))


def filled(proposal: Proposal) -> CounterForm:
    """Return the form with a proposal in it."""
    prices = tuple(
        FormField(f"price.{key}", Kind.MONEY, (_written(proposal.plan, key),))
        for key in (*PriceKind, *LIMITS)
    )
    terms = tuple(
        FormField(f"terms.{name}", _kind(name), _texts(proposal.terms, name), _options(name))
        for name in Terms.model_fields
    )
    return CounterForm(prices, terms)


def read(sent: Sent, shown: Proposal) -> tuple[Proposal | None, CounterForm]:
    """Read a form that was shown with a proposal.

    Args:
        sent: What the browser sent.
        shown: The proposal that the form was filled with.

    Returns:
        The proposal, or None where something is wrong; and the form with what was typed, each
        fault at its field.
    """
    blank = filled(shown)
    form = CounterForm(
        tuple(_typed(field, sent) for field in blank.prices),
        tuple(_typed(field, sent) for field in blank.terms),
    )
    plan, form = _read_plan(form, blank, shown.plan)
    terms, form = _read_terms(form, blank, shown.terms)
    if plan is None or terms is None:
        return None, form
    if fault := plan_fault(terms, plan):
        return None, replace(form, error=fault)
    return Proposal(terms=terms, plan=plan), form


def _typed(field: FormField, sent: Sent) -> FormField:
    if field.name not in sent:
        return field
    texts = (_as_sent(text) for text in sent[field.name])
    if field.kind in {Kind.FLAG, Kind.ANY_OF}:  # a hidden empty value says that it was shown
        return replace(field, texts=tuple(text for text in texts if text))
    return replace(field, texts=(next(texts, ""),))


def _as_sent(text: str) -> str:
    """Return a text as it comes back from a page: clean, with line feeds, no spaces around."""
    return clean_text(text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _is_untouched(field: FormField, blank: FormField) -> bool:
    if field.kind in {Kind.FLAG, Kind.ANY_OF}:
        return set(field.texts) == set(blank.texts)
    return field.text == _as_sent(blank.text)


# Prices


LIMITS: Final = tuple(LIMIT_WORDS.values())  # the fields of PricePlan that bound a month
_AND: Final = " + "  # between two amounts of one kind


def _written(plan: PricePlan, key: str) -> str:
    if key in LIMITS:
        amount = getattr(plan, key)
        return "" if amount is None else format_won(amount).removeprefix("₩")
    of_kind = [c for c in plan.components if c.kind.value == key]
    if of_kind and all(c.is_plain for c in of_kind):
        return format_won(sum(c.amount_micro for c in of_kind)).removeprefix("₩")
    return _AND.join(write_component(c) for c in of_kind)


def _read_limit(text: str) -> int | None:
    amount = parse_won(text) if text else 0
    if amount > AMOUNT_MICRO_MAX:
        raise ValueError(text)
    return amount or None


def _read_kind(kind: PriceKind, text: str) -> list[PriceComponent]:
    """Read what one field says: nothing and 0 ask for nothing."""
    if not text or _is_zero(text):
        return []
    return [parse_component(kind, each) for each in text.split(_AND)]


def _is_zero(text: str) -> bool:
    try:
        return parse_won(text) == 0
    except ValueError:
        return False


_BAD_AMOUNT: Final = Text(
    ko=f"{format_won(AMOUNT_MICRO_MAX)}까지의 원 금액을 적으세요. 예: 1,000 또는 0.5, "
    "또는 0.5/free:1000/over:10000:0.3/monthly",
    en=f"Write an amount in won up to {format_won(AMOUNT_MICRO_MAX)}, such as 1,000 or 0.5, "
    "or 0.5/free:1000/over:10000:0.3/monthly",
)
_NO_PRICE: Final = Text(
    ko="요금이 모두 비었습니다. 무료로 하려면 한 칸에 0을 적으세요.",
    en="All prices are empty. To ask for nothing, write 0 in one of them.",
)


def _read_plan(
    form: CounterForm, blank: CounterForm, shown: PricePlan
) -> tuple[PricePlan | None, CounterForm]:
    pairs = zip(form.prices, blank.prices, strict=True)
    if all(_is_untouched(field, before) for field, before in pairs):
        return shown, form
    found: dict[PriceKind, list[PriceComponent]] = {}
    limits: dict[str, int | None] = {}
    fields = []
    for field in form.prices:
        try:
            if field.key in LIMITS:
                limits[field.key] = _read_limit(field.text)
            else:
                found[PriceKind(field.key)] = _read_kind(PriceKind(field.key), field.text)
        except ValueError:
            fields.append(replace(field, error=_BAD_AMOUNT))
        else:
            fields.append(field)
    form = replace(form, prices=tuple(fields))
    if not any(field.text for field in fields):  # a slip would give data away
        form = replace(form, error=_NO_PRICE)
    if form.is_faulty:
        return None, form
    order = dict.fromkeys([c.kind for c in shown.components] + list(PriceKind))
    components = tuple(component for kind in order for component in found[kind])
    try:
        return PricePlan.model_validate({"components": components, **limits}), form
    except ValidationError as error:
        return None, replace(form, error=_faults(error)[1])


# Terms


def _core(annotation: Any) -> Any:  # noqa: ANN401 - a type
    """Return a type without its marks, its None and its new name."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, UnionType}:
            rest = [a for a in get_args(annotation) if a is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        else:
            return annotation


def _items(annotation: Any) -> Any:  # noqa: ANN401 - a type
    """Return the type of a tuple's items, or None."""
    core = _core(annotation)
    args = get_args(core)
    is_row = get_origin(core) is tuple and len(args) == 2 and args[1] is Ellipsis  # noqa: PLR2004
    return _core(args[0]) if is_row else None


def _is_choice(kind: Any) -> bool:  # noqa: ANN401 - a type
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def _kind(name: str) -> Kind:
    annotation = Terms.model_fields[name].annotation
    core, items = _core(annotation), _items(annotation)
    simple = {bool: Kind.FLAG, int: Kind.NUMBER, datetime: Kind.TIME, str: Kind.LINE}
    if core in simple:
        return simple[core]
    if _is_choice(core):
        return Kind.ONE_OF
    if _is_choice(items):
        return Kind.ANY_OF
    is_written = hasattr(items, "from_text") and hasattr(items, "to_text")
    return Kind.LINES if items is str or is_written else Kind.JSON


def _options(name: str) -> tuple[str, ...]:
    field = Terms.model_fields[name]
    chosen_from = _items(field.annotation) or _core(field.annotation)
    return tuple(chosen_from) if _is_choice(chosen_from) else ()


def _texts(terms: Terms, name: str) -> tuple[str, ...]:
    value = getattr(terms, name)
    match _kind(name):
        case Kind.FLAG:
            return ("yes",) if value else ()
        case Kind.ANY_OF:
            return tuple(value)
        case Kind.LINES:
            return ("\n".join(v if isinstance(v, str) else v.to_text() for v in value),)
        case Kind.TIME if value is not None:
            return (f"{in_seoul(value):%Y-%m-%dT%H:%M:%S}",)
        case Kind.JSON if value is not None:
            return (json.dumps(terms.to_json().get(name), ensure_ascii=False),)
        case _:
            return ("" if value is None else str(value),)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=SEOUL)


_NOT_READ: Final = {
    Kind.NUMBER: Text(ko="숫자로 적으세요. 예: 1,000", en="Write a number, such as 1,000"),
    Kind.TIME: Text(
        ko="한국 시각으로 날짜와 시각을 적으세요. 예: 2027-01-31T18:00",
        en="Write a date and time in Korea, such as 2027-01-31T18:00",
    ),
    Kind.LINES: Text(
        ko="한 줄에 하나씩, 예시의 꼴로 적으세요", en="Write one a line, in the form of the example"
    ),
    Kind.JSON: Text(ko="JSON으로 적으세요", en="Write JSON"),
}
_READERS: Final[dict[Kind, Callable[[str], Any]]] = {
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.JSON: json.loads,
}


def _value(field: FormField) -> Any:  # noqa: ANN401 - what Terms will check
    if field.kind is Kind.FLAG:
        return bool(field.texts)
    if field.kind is Kind.ANY_OF:
        return tuple(option for option in field.options if option in field.texts)
    if field.kind is Kind.LINES:
        read_item = getattr(_items(Terms.model_fields[field.key].annotation), "from_text", str)
        lines = (line.strip() for line in field.text.split("\n"))
        return tuple(read_item(line) for line in lines if line)
    return _READERS.get(field.kind, str)(field.text) if field.text else None


def _read_terms(
    form: CounterForm, blank: CounterForm, shown: Terms
) -> tuple[Terms | None, CounterForm]:
    values: dict[str, Any] = {}
    errors: dict[str, Text] = {}
    for field, before in zip(form.terms, blank.terms, strict=True):
        if _is_untouched(field, before):
            values[field.key] = getattr(shown, field.key)
            continue
        try:
            values[field.key] = _value(field)
        except (ValueError, OverflowError, RecursionError):
            errors[field.key] = _NOT_READ[field.kind]
    terms, whole = None, None
    if not errors:
        try:
            terms = Terms.model_validate(values)
        except ValidationError as error:
            errors, whole = _faults(error)
    fields = tuple(replace(field, error=errors.get(field.key)) for field in form.terms)
    return terms, replace(form, terms=fields, error=form.error or whole)


def _faults(error: ValidationError) -> tuple[dict[str, Text], Text | None]:
    """Return what is wrong with each field, and with none alone."""
    of_fields: dict[str, Text] = {}
    whole = None
    for fault in error.errors(include_url=False, include_input=False):
        said = _said(fault["type"], fault.get("ctx", {}), fault["msg"])
        name = str(fault["loc"][0]) if fault["loc"] else ""
        if name in Terms.model_fields:
            of_fields.setdefault(name, said)
        else:
            whole = whole or said
    return of_fields, whole


_FAULTS: Final = {
    "greater_than_equal": ("{ge:,} 이상이어야 합니다", "At least {ge:,}"),
    "less_than_equal": ("{le:,} 이하여야 합니다", "At most {le:,}"),
    "too_short": ("{min_length:,}개 이상 고르세요", "Choose at least {min_length:,}"),
    "too_long": ("{max_length:,}개까지입니다", "At most {max_length:,}"),
}


def _said(kind: str, context: dict[str, Any], message: str) -> Text:
    if kind in _FAULTS:
        ko, en = (form.format(**context) for form in _FAULTS[kind])
        return Text(ko=ko, en=en)
    message = message.removeprefix("Value error, ")
    return Text(ko=f"이대로는 쓸 수 없습니다: {message}", en=message)
