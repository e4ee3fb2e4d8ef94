"""What supplier and buyer have each signed of the same use, side by side."""

from __future__ import annotations

from enum import StrEnum

from schemas.ids import AgreementId
from schemas.money import MicroWon
from schemas.usage import Act
from schemas.wire import OwnWire, Time


class Attested(StrEnum):
    """Who has signed an act, and whether they say the same."""

    BOTH = "both"  # the same counts and the same result
    DIFFERENT = "different"  # both, with different counts or results
    SUPPLIER_ONLY = "supplier_only"  # the buyer has not, and may still
    SILENT = "silent"  # the buyer has not, and its time is over: the supplier's word stands
    BUYER_ONLY = "buyer_only"  # the supplier has not metered it
    CONTRADICTED = "contradicted"  # the buyer signed it twice, differently: its first word counts
    REPEATED = "repeated"  # the supplier metered the same act once more: no part is undisputed


class Counts(OwnWire):
    """What one side counted."""

    queries_count: int
    rows_count: int
    bytes_count: int
    compute_ms: int | None = None  # the supplier's word, which a buyer bounds by its own clock


class ComparedAct(OwnWire):
    """One act on which the sides do not agree."""

    act_id: str
    act: Act
    attested: Attested
    occurred_at: Time
    supplier: Counts | None = None
    buyer: Counts | None = None


class Comparison(OwnWire):
    """An agreement's month (Asia/Seoul) as both sides have signed it.

    Amounts are of all acts from the agreement's beginning to the month's end, without VAT:
    ``charged_micro`` is what the supplier's counts cost, ``undisputed_micro`` what the smaller
    count of each act costs, and ``difference_micro``, never negative, lies between them.
    """

    agreement_id: AgreementId
    period: str
    acts: dict[Attested, int]
    supplier: Counts
    buyer: Counts
    charged_micro: MicroWon
    undisputed_micro: MicroWon
    difference_micro: MicroWon
    not_agreed: tuple[ComparedAct, ...]  # the first of them, by time
