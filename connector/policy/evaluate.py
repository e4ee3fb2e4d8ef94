"""The decision on one act: may this consumer do this, now, after what it has used.

Rule 1: an act is allowed only if no rule speaks against it; the first that does is the reason.
Rule 2: no clock and no store here: everything that decides is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from connector.policy.entitlement import Entitlement, needs_attested
from schemas.attested import Attested
from schemas.ids import ParticipantId
from schemas.price import Usage
from schemas.terms import Mode, moment, thousandths
from schemas.wire import Text, format_time

SKEW: Final = timedelta(seconds=60)  # how far the two parties' clocks may differ


class Code(StrEnum):
    """What a decision rests on."""

    ALLOWED = "allowed"
    UNKNOWN_TERM = "unknown_term"
    AGREEMENT_TERMINATED = "agreement_terminated"
    PROCESS_NOT_STARTED = "process_not_started"
    RECIPIENT = "recipient"
    RECIPIENT_UNVERIFIED = "recipient_unverified"
    MODE_NOT_ALLOWED = "mode_not_allowed"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    QUERY_QUOTA = "query_quota"
    ROW_QUOTA = "row_quota"
    BYTE_QUOTA = "byte_quota"
    OTHER_STATISTICS = "other_statistics"
    EPSILON_BUDGET = "epsilon_budget"
    MISSING_CONTEXT = "missing_context"


@dataclass(frozen=True, slots=True)
class Epsilon:
    """What an answer with noise would spend, and what was spent before; all in thousandths."""

    wanted_milli: int
    spent_milli: int  # of the dataset, by all buyers
    spent_agreement_milli: int


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked for; ``rows`` and ``bytes`` are None while the result is not known yet."""

    mode: Mode
    consumer_id: ParticipantId
    queries: int = 0
    rows: int | None = None
    bytes: int | None = None
    is_agreement_terminated: bool = False
    is_process_started: bool = True
    is_other_statistics: bool = False  # the dataset's statistics have been made otherwise before
    epsilon: Epsilon | None = None
    attested: Attested | None = None  # of the consumer's credential; None: not verified now


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, with its reason for both parties."""

    is_allowed: bool
    code: Code
    reason: Text


def evaluate(entitlement: Entitlement, act: Act, used: Usage, now: datetime) -> Decision:
    """Decide on an act."""
    return (
        _check_standing(entitlement, act)
        or _check_scope(entitlement, act)
        or _check_time(entitlement, now)
        or _check_process(act)
        or _check_quotas(entitlement, act, used)
        or _check_epsilon(entitlement, act)
        or _allow(entitlement, act)
    )


def _allow(entitlement: Entitlement, act: Act) -> Decision:
    budget, epsilon = entitlement.epsilon_budget_milli, act.epsilon
    ko, en = "합의에 따라 허용됩니다.", "Allowed by the agreement."
    if budget is not None and epsilon is not None:
        wanted = thousandths(epsilon.wanted_milli)
        left = thousandths(budget - epsilon.spent_milli - epsilon.wanted_milli)
        ko += f" 이 답에 ε={wanted}을 쓰고, 데이터셋의 예산은 ε={left} 남습니다."
        en += f" This answer spends epsilon {wanted}; {left} of the dataset's budget is left."
    return Decision(is_allowed=True, code=Code.ALLOWED, reason=Text(ko=ko, en=en))


def _deny(code: Code, *, ko: str, en: str) -> Decision:
    return Decision(is_allowed=False, code=code, reason=Text(ko=ko, en=en))


def _check_standing(entitlement: Entitlement, act: Act) -> Decision | None:
    if entitlement.unknown_term is not None:
        return _deny(
            Code.UNKNOWN_TERM,
            ko=f"이해할 수 없는 조건이 있어 허용하지 않습니다: {entitlement.unknown_term}",
            en=f"A term is not understood, so nothing is permitted: {entitlement.unknown_term}",
        )
    if act.is_agreement_terminated:
        return _deny(
            Code.AGREEMENT_TERMINATED,
            ko="합의가 끝났습니다. 새로 합의하세요.",
            en="The agreement has ended. Negotiate a new one.",
        )
    return None


def _check_process(act: Act) -> Decision | None:
    if not act.is_process_started:
        return _deny(
            Code.PROCESS_NOT_STARTED,
            ko="전송이 진행 중이 아닙니다. 전송을 다시 시작하세요.",
            en="The transfer process is not started. Start it again.",
        )
    return None


def _check_scope(entitlement: Entitlement, act: Act) -> Decision | None:
    if act.consumer_id not in entitlement.recipients:
        return _deny(
            Code.RECIPIENT,
            ko="합의가 정한 참여자가 아닙니다.",
            en="Not a participant that the agreement names.",
        )
    if needs_attested(entitlement) and (denial := check_attested(entitlement, act.attested)):
        return denial
    if act.mode not in entitlement.modes:
        return _deny(
            Code.MODE_NOT_ALLOWED,
            ko="합의는 데이터를 내려받는 것을 허용하지 않습니다. 질의를 쓰세요."
            if act.mode is Mode.READ
            else "합의는 질의를 허용하지 않습니다. 데이터를 내려받아 쓰세요.",
            en="The agreement does not permit reading the file. Send a query."
            if act.mode is Mode.READ
            else "The agreement does not permit queries. Read the file.",
        )
    if act.is_other_statistics:
        return _deny(
            Code.OTHER_STATISTICS,
            ko="이 데이터셋의 통계는 다른 범위로 이미 나갔습니다. 공급기업에 문의하세요.",
            en="Other statistics of this dataset were answered before. Ask the supplier.",
        )
    return None


def check_attested(entitlement: Entitlement, attested: Attested | None) -> Decision | None:
    """Return why the consumer is not one of the recipients that the terms describe."""
    if attested is None:
        return _deny(
            Code.RECIPIENT_UNVERIFIED,
            ko="이용 자격을 증명서로 확인하지 못했습니다. 커넥터가 증명서를 다시 보여야 합니다.",
            en="The recipient is not verified by a credential now. Its connector has to show its "
            "membership credential again.",
        )
    groups, claims = entitlement.recipient_groups, entitlement.recipient_claims
    if groups and not groups & attested.groups:
        said = ", ".join(sorted(groups))
        return _deny(
            Code.RECIPIENT,
            ko=f"운영기관이 이 그룹의 참여자라고 증명하지 않습니다: {said}.",
            en=f"The operator does not attest membership in any of these groups: {said}.",
        )
    if lacking := claims - attested.claims:
        said = ", ".join(sorted(lacking))
        return _deny(
            Code.RECIPIENT,
            ko=f"운영기관이 이 자격을 증명하지 않습니다: {said}.",
            en=f"The operator does not attest: {said}.",
        )
    return None


def _check_time(entitlement: Entitlement, now: datetime) -> Decision | None:
    if now < entitlement.starts_at - SKEW:
        starts = format_time(entitlement.starts_at)
        return _deny(
            Code.NOT_YET_VALID,
            ko=f"합의는 {starts}부터 유효합니다. 시계를 확인하세요.",
            en=f"The agreement is valid from {starts}. Check the clocks.",
        )
    if entitlement.use_from is not None and now < entitlement.use_from:
        starts = moment(entitlement.use_from)
        return _deny(
            Code.NOT_YET_VALID,
            ko=f"{starts} (한국 시각)부터 쓸 수 있습니다. 그때 다시 시도하세요.",
            en=f"Use is permitted from {starts} KST. Try again then.",
        )
    if entitlement.ends_at is not None and now > entitlement.ends_at:
        ended = moment(entitlement.ends_at)
        return _deny(
            Code.EXPIRED,
            ko=f"이용 기간이 {ended} (한국 시각)에 끝났습니다.",
            en=f"The period of use ended at {ended} KST.",
        )
    return None


def _check_quotas(entitlement: Entitlement, act: Act, used: Usage) -> Decision | None:
    queries_max, rows_max = entitlement.queries_max, entitlement.rows_max
    if queries_max is not None and act.queries and used.queries + act.queries > queries_max:
        return _deny(
            Code.QUERY_QUOTA,
            ko=f"허용된 질의 {queries_max:,}건을 다 썼습니다.",
            en=f"All {queries_max:,} permitted queries are used up.",
        )
    if rows_max is not None and (left := _left(rows_max, used.rows, act.rows)) is not None:
        return _deny(
            Code.ROW_QUOTA,
            ko=f"허용된 {rows_max:,}행 가운데 {left:,}행이 남아 이 결과를 줄 수 없습니다.",
            en=f"{left:,} of {rows_max:,} permitted rows are left: too few for this.",
        )
    most = entitlement.bytes_max
    if most is not None and (left := _left(most, used.bytes, act.bytes)) is not None:
        return _deny(
            Code.BYTE_QUOTA,
            ko=f"허용된 {most:,}바이트 가운데 {left:,}바이트가 남아 이 결과를 줄 수 없습니다.",
            en=f"{left:,} of {most:,} permitted bytes are left: too few for this.",
        )
    return None


def _check_epsilon(entitlement: Entitlement, act: Act) -> Decision | None:
    budget, epsilon = entitlement.epsilon_budget_milli, act.epsilon
    if budget is None or act.rows is None:  # nothing leaves yet
        return None
    if epsilon is None and not act.rows:  # an answer that left before is not spent again
        return None
    if epsilon is None:
        return _deny(
            Code.MISSING_CONTEXT,
            ko="이 답에 드는 ε을 알 수 없어 허용하지 않습니다. 공급기업에 문의하세요.",
            en="What this answer spends of epsilon is not known: denied. Ask the supplier.",
        )
    most = entitlement.epsilon_agreement_milli
    lefts = [(budget - epsilon.spent_milli, "데이터셋의 예산", "the dataset's budget")]
    if most is not None:
        lefts.append((most - epsilon.spent_agreement_milli, "이 합의의 예산", "this agreement's"))
    left, of_ko, of_en = min(lefts)
    if epsilon.wanted_milli <= max(left, 0):
        return None
    wanted, rest = thousandths(epsilon.wanted_milli), thousandths(max(left, 0))
    return _deny(
        Code.EPSILON_BUDGET,
        ko=f"이 답에는 ε={wanted}이 드는데 {of_ko}은 ε={rest}이 남았습니다. 이미 나간 답은 같은 "
        "질의로 다시 받을 수 있습니다.",
        en=f"This answer needs epsilon {wanted}; {rest} of {of_en} is left. Answers that were "
        "given before can be had again by the same query.",
    )


def _left(most: int, used: int, wanted: int | None) -> int | None:
    """Return what is left of a quota that does not allow the act; None if it does."""
    left = max(most - used, 0)
    is_over = left == 0 if wanted is None else wanted > left
    return left if is_over else None
