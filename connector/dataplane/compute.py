"""Queries that are paid by processor time: how much one may take, and when it is stopped.

What a query will take is known once it has run. So it runs at most as long as its price stays
within the maximum that came with it and within what is held of the buyer's deposit. The worker
stops it there, and nothing is charged. If the deposit gives more, it is run once more with that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from connector.dataplane.access import Access
from connector.dataplane.brake import OverComputeError
from connector.dataplane.pool import QueryTimeoutError, Result
from connector.metering import grants
from connector.metering import service as metering
from connector.metering import store as meter
from connector.metering.service import Price, Use
from connector.metering.store import Total
from connector.runtime import Runtime
from schemas.bank import GRANT_MICRO_MAX
from schemas.money import format_won
from schemas.price import MS_PER_SECOND
from schemas.problem import ProblemError, RemoteUnavailableError
from schemas.usage import Act
from schemas.wire import Text

FIRST_MS: Final = 100  # nothing begins with less than this held


class ComputeLimitError(ProblemError):
    """The query would have computed for more than its consumer pays; it was stopped."""

    slug = "compute-limit-reached"
    title = Text(
        ko="연산 시간이 정한 최대 금액에 이르렀습니다", en="Computed as long as was paid for"
    )
    status = 402


def paid_ms(access: Access, compute_ms: int) -> int:
    """Return the processor time to meter: none where the price is not by it."""
    return compute_ms if access.entitlement.plan.has_compute else 0


def ceiling_ms(runtime: Runtime) -> int:
    """Return the most processor time that any query may take."""
    return int(runtime.settings.query_seconds_max * MS_PER_SECOND)


@dataclass(frozen=True)
class Bound:
    """How long one query may compute; not at all bounded where that is not what is paid for.

    Args:
        runtime: The supplier's connector.
        access: Whose query.
        total_max_micro: The most that it may cost, with VAT.
        is_new: It will be charged; otherwise it was, and is delivered once more.
    """

    runtime: Runtime
    access: Access
    total_max_micro: int | None
    is_new: bool = True

    def run(self, attempt: Callable[[int | None], Result]) -> Result:
        """Run a query: ``attempt`` is given the milliseconds of processor time that it may take.

        Raises:
            ChargeAboveMaximumError: Even one that takes no time would cost more than the maximum.
            ComputeLimitError: It was stopped when it had cost the maximum.
            QueryTimeoutError: It was stopped at the supplier's own limit.
            InsufficientBalanceError: It was stopped, or not begun, at the end of the deposit.
        """
        if not (self.is_new and self.access.entitlement.plan.has_compute):
            return attempt(None)
        for _ in range(metering.GRANT_TRIES_MAX):
            cost = self._cost()
            most = self._most(cost)
            held = grants.left(self.runtime, self.access.agreement.id)
            covered = _last(most, lambda ms: cost(ms).charge_micro <= held)  # noqa: B023
            if covered < min(most, FIRST_MS):
                self._ask(cost, min(most, FIRST_MS), most)
                continue
            try:
                return attempt(covered)
            except OverComputeError:
                if covered == most:
                    raise self._stopped(most) from None
            self._ask(cost, covered + 1, most)
        raise RemoteUnavailableError(
            ko="대금 예약이 다른 이용에 먼저 쓰였습니다. 다시 시도하세요.",
            en="Other uses were faster in spending the grant. Try again.",
            retryable=True,
        )

    def _cost(self) -> Callable[[int], Price]:
        """Return what the query would cost now if it delivered nothing, by its milliseconds."""
        total = _total(self.runtime, self.access)
        now, use = self.runtime.clock(), self._use()
        return lambda ms: metering.price(
            self.access.entitlement, replace(use, compute_ms=ms), total, now
        )

    def _use(self) -> Use:
        agreement, pid = self.access.agreement, self.access.pid
        use = Use("", Act.QUERY, agreement, pid, rows_count=0, bytes_count=0, result_sha256="")
        return replace(use, total_max_micro=self.total_max_micro)

    def _most(self, cost: Callable[[int], Price]) -> int:
        """Return for how long its consumer pays, but at most what the supplier gives anybody."""
        maximum, ceiling = self.total_max_micro, ceiling_ms(self.runtime)
        if maximum is None:
            return ceiling
        metering.check_maximum(self._use(), cost(0))
        return _last(ceiling, lambda ms: _total_micro(cost(ms)) <= maximum)

    def _ask(self, cost: Callable[[int], Price], least_ms: int, most_ms: int) -> None:
        wanted = min(cost(most_ms).charge_micro, GRANT_MICRO_MAX)
        agreement_id = self.access.agreement.id
        grants.ask(self.runtime, agreement_id, cost(least_ms).charge_micro, wanted=wanted)

    def _stopped(self, ms: int) -> ProblemError:
        if ms == ceiling_ms(self.runtime) or self.total_max_micro is None:
            return _too_long(ms)
        said, most = f"{ms / MS_PER_SECOND:,.3f}", format_won(self.total_max_micro)
        return ComputeLimitError(
            ko=f"질의가 연산 {said}초를 써서, 정한 최대 금액 {most}(부가세 포함)에 이르러 "
            "멈췄습니다. 아무것도 청구되지 않았습니다. 질의를 좁히거나 예산·한도를 올리세요.",
            en=f"The query was stopped after {said} compute seconds, which cost the maximum of "
            f"{most} (with VAT). Nothing was charged. Narrow it, or raise the budget or limit.",
            compute_ms=ms,
            total_max_micro=str(self.total_max_micro),
        )


def run_quote(runtime: Runtime, access: Access, attempt: Callable[[int | None], Result]) -> Result:
    """Run a query to say what it costs: within the supplier's own limit, holding nothing.

    Raises:
        QueryTimeoutError: It was stopped at that limit.
    """
    if not access.entitlement.plan.has_compute:
        return attempt(None)
    try:
        return attempt(ceiling_ms(runtime))
    except OverComputeError:
        raise _too_long(ceiling_ms(runtime)) from None


def quoted(runtime: Runtime, access: Access, use: Use, total: Total) -> dict[str, Any]:
    """Return what a quote says of processor time: what it took, and the most that it may cost."""
    if use.act is not Act.QUERY or not access.entitlement.plan.has_compute:
        return {}
    longest = replace(use, compute_ms=max(use.compute_ms, ceiling_ms(runtime)))
    cost = metering.price(access.entitlement, longest, total, runtime.clock())
    return {"compute_ms": use.compute_ms, "total_most_micro": _total_micro(cost)}


def _total(runtime: Runtime, access: Access) -> Total:
    by_month = access.entitlement.plan.counts_by_month
    with runtime.database.unit_of_work() as uow:
        return meter.total(uow, access.agreement.id, by_month=by_month)


def _total_micro(cost: Price) -> int:
    return cost.charge_micro + cost.vat_micro


def _last(most: int, fits: Callable[[int], bool]) -> int:
    """Return the greatest number up to ``most`` that fits, -1 if none; what is less fits too."""
    return bisect_left(range(most + 1), 1, key=lambda number: int(not fits(number))) - 1


def _too_long(ms: int) -> QueryTimeoutError:
    return QueryTimeoutError(
        ko=f"질의가 연산 {ms / MS_PER_SECOND:g}초를 넘어 멈췄습니다. 아무것도 청구되지 않았습니다. "
        "범위를 좁히세요.",
        en=f"The query took over {ms / MS_PER_SECOND:g} compute seconds and was stopped. Nothing "
        "was charged. Narrow it down.",
    )
