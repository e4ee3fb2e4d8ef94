"""Price plans of every form, as hypothesis makes them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from schemas.price import METERED, PriceComponent, PriceKind, PricePlan, Step, Steps


@st.composite
def components(
    draw: DrawFn, amounts: SearchStrategy[int], units: SearchStrategy[int]
) -> PriceComponent:
    """Return one amount with any of what may go with it."""
    kind = draw(st.sampled_from(PriceKind))
    amount = draw(amounts)
    if kind not in METERED:
        return PriceComponent(kind=kind, amount_micro=amount)
    free = draw(st.none() | units)
    form = draw(st.sampled_from(["plain", "block", *Steps]))
    block = draw(units) if form == "block" else None
    starts = sorted(draw(st.sets(units, min_size=1, max_size=3)))
    tiers: tuple[Step, ...] = ()
    if form == Steps.GRADUATED:
        tiers = tuple(Step(above=s, amount_micro=draw(st.just(0) | amounts)) for s in starts)
    elif form == Steps.VOLUME:
        falling = sorted({draw(amounts) for _ in starts} - {amount}, reverse=True)
        below = [each for each in falling if each < amount]
        tiers = tuple(Step(above=s, amount_micro=a) for s, a in zip(starts, below, strict=False))
    is_plain = free is None and block is None and not tiers
    return PriceComponent(
        kind=kind,
        amount_micro=amount,
        free=free,
        block=block,
        steps=Steps(form) if tiers else None,
        tiers=tiers or None,
        is_monthly=None if is_plain else draw(st.sampled_from([None, True])),
    )


@st.composite
def plans(
    draw: DrawFn,
    amounts: SearchStrategy[int],
    units: SearchStrategy[int],
    *,
    components_max: int = 4,
) -> PricePlan:
    """Return a plan of any form, with or without a monthly minimum and cap."""
    found = draw(st.lists(components(amounts, units), max_size=components_max))
    is_for_use = any(c.kind is not PriceKind.ONE_OFF for c in found)
    can_limit = is_for_use and all(c.is_plain or c.is_monthly for c in found)
    low, high = sorted((draw(amounts), draw(amounts)))
    return PricePlan(
        components=tuple(found),
        monthly_minimum_micro=low if can_limit and draw(st.booleans()) else None,
        monthly_cap_micro=high if can_limit and draw(st.booleans()) else None,
    )
