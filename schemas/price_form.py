"""Prices as people and policies write them: ``row=0.5/free:1000/over:10000:0.3/monthly``.

A word is what is paid for, ``=``, and parts between slashes: the amount first, then ``free:N``
(units that are free), ``over:N:AMOUNT`` (another amount above N units; ``volume``: for all of
them), ``block:N`` (the amount is for each started block of N) and ``monthly`` (counted anew each
month). ``minimum=`` and ``cap=`` bound a whole month. The same parts stand in a policy, there with
amounts in micro-won.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from schemas.money import format_won, parse_won
from schemas.price import AMOUNT_MICRO_MAX, PriceComponent, PriceKind, PricePlan, Step, Steps
from schemas.wire import Text

PRICE_WORDS: Final = {
    "once": PriceKind.ONE_OFF,
    "month": PriceKind.MONTHLY,
    "query": PriceKind.PER_QUERY,
    "row": PriceKind.PER_ROW,
    "mb": PriceKind.PER_MEGABYTE,
}
LIMIT_WORDS: Final = {"minimum": "monthly_minimum_micro", "cap": "monthly_cap_micro"}
_WORDS: Final = {kind: word for word, kind in PRICE_WORDS.items()}
_COUNT: Final = re.compile(r"[0-9][0-9,]{0,18}")
_USAGE: Final = Text(
    ko="once=원, month=원, query=원, row=원, mb=원 뒤에 /free:개수, /over:개수:원, /volume, "
    "/block:개수, /monthly를 붙이고, 달의 한도는 minimum=원, cap=원으로 적으세요. "
    "예: row=0.5/free:1000/over:10000:0.3/monthly cap=100000. 무료는 free.",
    en="Write once=WON, month=WON, query=WON, row=WON, mb=WON, each with /free:N, /over:N:WON, "
    "/volume, /block:N, /monthly where wanted; minimum=WON and cap=WON bound a month. "
    "For example row=0.5/free:1000/over:10000:0.3/monthly cap=100000. No charge: free.",
)
_ROYALTY: Final = Text(
    ko="로열티는 요금이 아니라 조건으로 적으세요: --term royalty=%. 큐레이터가 그 데이터로 만든 "
    "것을 팔면, 등록한 분배 계획(databank shares)대로 마감 때 판매액의 그 비율을 받습니다.",
    en="Write a royalty as a term, not as a price: --term royalty=PERCENT. Of what a curator sells "
    "that it made of the data, the close gives you that part, by its split plan (databank shares).",
)


class BadPriceError(ValueError):
    """A price that cannot be read, or that says nothing; ``word`` is where."""

    def __init__(self, word: str, reason: Text) -> None:
        super().__init__(f"{word}: {reason.ko} ({reason.en})")
        self.word = word
        self.reason = reason


def parse_plan(text: str) -> PricePlan:
    """Read a price such as ``query=100 row=0.5 cap=100000``, or ``free``; amounts in won.

    Raises:
        BadPriceError: A word is unknown, an amount is none, or the whole contradicts itself.
    """
    words = text.split()
    if words in (["free"], ["무료"]):
        return PricePlan()
    if not words:
        raise BadPriceError("''", _USAGE)
    components, limits = [], {}
    for word in words:
        key, _, value = word.partition("=")
        if key == "royalty":
            raise BadPriceError(repr(word), _ROYALTY)
        if key in LIMIT_WORDS and LIMIT_WORDS[key] not in limits:
            limits[LIMIT_WORDS[key]] = _amount_of(value, word)
        elif key in PRICE_WORDS:
            components.append(_component_in(word))
        else:
            raise BadPriceError(repr(word), _USAGE)
    try:
        return PricePlan(components=tuple(components), **limits)
    except ValidationError as error:
        raise BadPriceError(repr(text), _why(error)) from None


def _component_in(word: str) -> PriceComponent:
    key, _, value = word.partition("=")
    try:
        return parse_component(PRICE_WORDS[key], value)
    except BadPriceError as error:
        raise BadPriceError(repr(word), error.reason) from None


def write_plan(plan: PricePlan) -> str:
    """Write a plan as ``parse_plan`` reads it."""
    if plan.is_free:
        return "free"
    words = [f"{_WORDS[c.kind]}={write_component(c)}" for c in plan.components]
    for word, name in LIMIT_WORDS.items():
        amount = getattr(plan, name)
        if amount is not None:
            words.append(f"{word}={_write_won(amount)}")
    return " ".join(words)


def parse_component(kind: PriceKind, text: str) -> PriceComponent:
    """Read one amount with what goes with it, such as ``0.5/free:1000/monthly``.

    Raises:
        BadPriceError: It is none.
    """
    try:
        return component_of(kind, text.split("/"), lambda amount: str(_in_range(parse_won(amount))))
    except ValidationError as error:
        raise BadPriceError(repr(text), _why(error)) from None
    except ValueError:
        raise BadPriceError(repr(text), _USAGE) from None


def write_component(component: PriceComponent) -> str:
    """Write one amount as ``parse_component`` reads it."""
    return "/".join(parts_of(component, _write_won))


def component_of(
    kind: PriceKind, parts: Sequence[str], read_amount: Callable[[str], str]
) -> PriceComponent:
    """Return the component that parts say; the first is its amount.

    Raises:
        ValueError: A part is unknown, unreadable or stands twice, or they contradict each other.
    """
    fields: dict[str, Any] = {"kind": kind, "amount_micro": read_amount(parts[0])}
    tiers: list[Step] = []
    for part in parts[1:]:
        name, _, value = part.partition(":")
        if name == "over":
            above, _, amount = value.partition(":")
            tiers.append(Step(above=_count(above), amount_micro=read_amount(amount)))
        elif name in fields or (value and name in {"monthly", "volume"}):
            raise ValueError(part)
        elif name in {"free", "block"}:
            fields[name] = _count(value)
        elif name in {"monthly", "volume"}:
            fields[name] = True
        else:
            raise ValueError(part)
    is_volume = fields.pop("volume", False)
    is_monthly = fields.pop("monthly", None)
    steps = Steps.VOLUME if is_volume else Steps.GRADUATED if tiers else None
    return PriceComponent(**fields, steps=steps, tiers=tuple(tiers) or None, is_monthly=is_monthly)


def parts_of(component: PriceComponent, write_amount: Callable[[int], str]) -> list[str]:
    """Return the parts that ``component_of`` reads as this component."""
    parts = [write_amount(component.amount_micro)]
    if component.free is not None:
        parts.append(f"free:{component.free}")
    if component.block is not None:
        parts.append(f"block:{component.block}")
    parts += [f"over:{s.above}:{write_amount(s.amount_micro)}" for s in component.tiers or ()]
    if component.steps is Steps.VOLUME:
        parts.append("volume")
    if component.is_monthly:
        parts.append("monthly")
    return parts


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(text)
    return int(text.replace(",", ""))


def _amount_of(text: str, word: str) -> str:
    try:
        return str(_in_range(parse_won(text)))
    except ValueError:
        raise BadPriceError(repr(word), _USAGE) from None


def _in_range(amount_micro: int) -> int:
    if amount_micro > AMOUNT_MICRO_MAX:
        raise ValueError(amount_micro)
    return amount_micro


def _write_won(amount_micro: int) -> str:
    return format_won(amount_micro).removeprefix("₩").replace(",", "")


def _why(error: ValidationError) -> Text:
    """Return the first reason in both languages: our own rules stand as ``Korean (English)``."""
    first = error.errors(include_url=False, include_input=False)[0]
    ko, _, en = first["msg"].removeprefix("Value error, ").partition(" (")
    if first["type"] != "value_error" or not en:
        return _USAGE
    return Text(ko=f"{ko}.", en=f"{en.removesuffix(')').capitalize()}.")
