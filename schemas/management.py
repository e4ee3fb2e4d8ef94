"""A connector's management API: what the company's own people and tools ask of it.

Called with the connector's admin token by the CLI, the curator's SDK and the portal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.approval import Approval
from schemas.dataset import (
    SAMPLE_ROWS_MAX,
    Column,
    ColumnType,
    Dataset,
    Domain,
    Industry,
    Sensitivity,
)
from schemas.ids import DATASET_NAME, AgreementId, DatasetId, OfferId, ParticipantId, ProcessId
from schemas.money import MicroWon
from schemas.participant import Brn, Name, NewHandle
from schemas.price import PricePlan
from schemas.proposal import Proposal, TermChange
from schemas.refusal import RefusalCode
from schemas.spending import TotalMax
from schemas.terms import Mode, Terms
from schemas.wire import OwnWire, Text, Time

TITLE_CHARS_MAX: Final = 200
DESCRIPTION_CHARS_MAX: Final = 5_000
KEYWORD_CHARS_MAX: Final = 50
SAMPLE_ROWS_DEFAULT: Final = 3


def check_line(text: str, chars_max: int) -> str:
    """Return a text without spaces around it.

    Raises:
        ValueError: Nothing is left, or more than ``chars_max`` characters.
    """
    text = text.strip()
    if not text or len(text) > chars_max:
        raise ValueError(f"1–{chars_max:,}자로 적으세요 (1 to {chars_max:,} characters)")
    return text


def _title(text: Text) -> Text:
    return Text(ko=check_line(text.ko, TITLE_CHARS_MAX), en=check_line(text.en, TITLE_CHARS_MAX))


def _description(text: Text) -> Text:
    ko, en = (check_line(said, DESCRIPTION_CHARS_MAX) for said in (text.ko, text.en))
    return Text(ko=ko, en=en)


Title = Annotated[Text, AfterValidator(_title)]
Description = Annotated[Text, AfterValidator(_description)]
Keyword = Annotated[str, Field(min_length=1, max_length=KEYWORD_CHARS_MAX)]


class BadCell(OwnWire):
    """One cell that does not fit its column; ``row`` counts as a spreadsheet does (header = 1)."""

    row: int
    column: str
    value: str
    reason: Text


class UploadReport(OwnWire):
    """What an uploaded file holds, before anything is published.

    ``bad_cells`` lists the first hundred; ``bad_rows_count`` counts all rows that hold one.
    ``personal_columns`` look like personal data. ``sheet`` is the one that was read of a book.
    """

    upload_id: str
    filename: str
    format: str
    encoding: str | None = None
    sheet: str | None = None
    rows_count: int
    bad_rows_count: int
    bad_cells: tuple[BadCell, ...]
    columns: tuple[Column, ...]
    warnings: tuple[Text, ...] = ()
    personal_columns: tuple[str, ...] = ()
    is_published: bool = False  # its file is gone: the dataset is there


class ColumnChange(OwnWire):
    """A correction to what was detected in one column."""

    name: str
    type: ColumnType | None = None
    unit: str | None = None
    label: Text | None = None
    sensitivity: Sensitivity | None = None


class PublishRequest(OwnWire):
    """Publish an upload as a dataset with its terms and price.

    ``allow_personal`` answers for the columns that look like personal data; without it the
    connector refuses them. They are in no sample either way.
    """

    upload_id: str
    name: str = Field(pattern=DATASET_NAME.pattern)
    title: Title
    description: Description
    domain: Domain
    industry: Industry
    keywords: tuple[Keyword, ...] = Field(default=(), max_length=30)
    columns: tuple[ColumnChange, ...] = ()
    terms: Terms
    plan: PricePlan
    approval: Approval = Approval.AUTOMATIC
    skip_bad_rows: bool = False
    allow_personal: bool = False
    sample_rows: int | None = Field(default=None, ge=0, le=SAMPLE_ROWS_MAX)
    is_generated: bool = False

    @property
    def sample_rows_count(self) -> int:
        """Rows that everybody sees; none by default where every row is sold by query."""
        if self.sample_rows is not None:
            return self.sample_rows
        is_sold_by_query = not self.plan.is_free and Mode.READ not in self.terms.modes
        return 0 if is_sold_by_query else SAMPLE_ROWS_DEFAULT


class ReviseRequest(OwnWire):
    """Change what a dataset says of itself or how it is offered; what is left out stays.

    Other terms or another price make a new offer: agreements made before keep theirs.
    """

    title: Title | None = None
    description: Description | None = None
    keywords: tuple[Keyword, ...] | None = Field(default=None, max_length=30)
    terms: Terms | None = None
    plan: PricePlan | None = None
    approval: Approval | None = None


class PolicyTemplate(OwnWire):
    """Terms to start from."""

    id: str
    title: Text
    description: Text
    terms: Terms


class PolicyTemplateList(OwnWire):
    """All templates."""

    templates: tuple[PolicyTemplate, ...]


class Publication(OwnWire):
    """A published dataset, to its owner."""

    dataset: Dataset
    offer_id: OfferId
    terms: Terms
    plan: PricePlan
    approval: Approval = Approval.AUTOMATIC
    skipped_rows_count: int = 0
    is_withdrawn: bool = False


class PublicationList(OwnWire):
    """The connector's own datasets."""

    publications: tuple[Publication, ...]


class NegotiateRequest(OwnWire):
    """Start a negotiation for a listed dataset, taking its offer as it stands.

    ``policy`` is the listing's; with ``proposal`` other terms or another price are asked for.
    ``dataset`` is kept with the agreement, so that its name and columns outlive the listing.
    With ``starts_transfer`` its transfer process begins as soon as the agreement is final.
    """

    provider_id: ParticipantId
    dataset_id: DatasetId
    offer_id: OfferId
    policy: dict[str, Any]
    proposal: Proposal | None = None
    dataset_title: str = Field(default="", max_length=300)
    dataset: Dataset | None = None
    starts_transfer: bool = False


class Joining(OwnWire):
    """Register this connector's company at the broker."""

    handle: NewHandle
    name: Name
    brn: Brn


class Services(OwnWire):
    """Where the operator's services are, as this connector is configured."""

    broker_url: str
    catalog_url: str
    clearing_url: str


class EndRequest(OwnWire):
    """Why something is ended, or a transfer process changed; the other side sees both."""

    reason: str = Field(min_length=1, max_length=500)
    code: RefusalCode = RefusalCode.OTHER


class AnswerKind(StrEnum):
    """What may be said to a proposal."""

    ACCEPT = "accept"
    COUNTER = "counter"
    REFUSE = "refuse"


class NegotiationAnswer(OwnWire):
    """Our answer to the counterparty's proposal.

    A counter needs the ``proposal``; a refusal has a ``code`` and may have a ``reason`` in words.
    ``rounds_count`` is how many rounds were seen: with more of them the answer is refused, so that
    nobody accepts a proposal unread.
    """

    kind: AnswerKind
    proposal: Proposal | None = None
    code: RefusalCode = RefusalCode.OTHER
    reason: str | None = Field(default=None, min_length=1, max_length=500)
    rounds_count: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.kind is AnswerKind.COUNTER) != (self.proposal is not None):
            raise ValueError("a counter has a proposal, and nothing else has one")
        return self


class ProcessRole(StrEnum):
    """Our side of a negotiation or transfer process."""

    CONSUMER = "consumer"
    PROVIDER = "provider"


class Round(OwnWire):
    """One proposal of a negotiation; the first is the listing.

    ``changes`` are against the one before. ``unreadable`` says what our policy profile does not
    know in it; then there is only the ``policy``.
    """

    by: ProcessRole
    at: Time
    policy: dict[str, Any]
    proposal: Proposal | None = None
    changes: tuple[TermChange, ...] = ()
    unreadable: str | None = None


class NegotiationView(OwnWire):
    """A negotiation as its owner sees it.

    ``reason`` and ``reason_code`` say why it was terminated. With ``awaits_us`` the counterparty's
    last proposal waits for our answer until ``expires_at``. ``rounds`` come only where one
    negotiation is asked for.
    """

    pid: ProcessId  # our own pid
    role: ProcessRole
    consumer_pid: ProcessId
    provider_pid: ProcessId | None = None
    counterparty_id: ParticipantId
    dataset_id: DatasetId
    dataset_title: str = ""
    counterparty_name: str | None = None
    state: str
    agreement_id: AgreementId | None = None
    reason: str | None = None
    reason_code: str | None = None
    awaits_us: bool = False
    expires_at: Time | None = None
    rounds: tuple[Round, ...] = ()
    updated_at: Time


class AgreementEnd(OwnWire):
    """Who ended an agreement before its time, and why; ``code`` may be a foreign word."""

    by: ParticipantId
    code: str
    reason: str
    at: Time


class AgreementView(OwnWire):
    """An agreement as one side holds it; ``transfer_pid`` is our running transfer process.

    ``is_over`` says that it was ended by one side (``end``) or that ``ends_at`` has passed.
    Names are there as far as we know them; ``dataset`` only where one dataset was asked for.
    """

    agreement_id: AgreementId
    role: ProcessRole
    provider_id: ParticipantId
    consumer_id: ParticipantId
    dataset_id: DatasetId
    policy: dict[str, Any]
    agreed_at: Time
    ends_at: Time | None = None
    is_over: bool = False
    end: AgreementEnd | None = None
    dataset_title: str = ""
    transfer_pid: ProcessId | None = None
    transfer_state: str | None = None
    provider_handle: str | None = None
    provider_name: str | None = None
    consumer_name: str | None = None
    dataset_name: str | None = None
    dataset: Dataset | None = None


class NegotiationList(OwnWire):
    """Negotiations, latest change first."""

    negotiations: tuple[NegotiationView, ...]


class AgreementList(OwnWire):
    """Agreements, newest first."""

    agreements: tuple[AgreementView, ...]


class TransferRequest(OwnWire):
    """Start (or return the running) transfer process of an agreement that we hold as consumer."""

    agreement_id: AgreementId


class TransferView(OwnWire):
    """A transfer process as its owner sees it."""

    pid: ProcessId
    role: ProcessRole
    consumer_pid: ProcessId
    provider_pid: ProcessId | None = None
    counterparty_id: ParticipantId
    agreement_id: AgreementId
    state: str
    reason: str | None = None
    reason_code: str | None = None
    updated_at: Time


class QueryRequest(OwnWire):
    """SQL for one dataset, which the query calls by the dataset's name.

    ``query_id`` is made and stored by the caller: the same id again is not charged again.
    ``total_max_micro`` is the most that it may cost with VAT: the supplier refuses what is dearer.
    """

    query_id: str = Field(min_length=8, max_length=80)
    sql: str = Field(min_length=1, max_length=65_536)
    total_max_micro: TotalMax | None = None


class Quote(OwnWire):
    """What a query or read would cost now, without VAT; nothing is charged for asking.

    ``rows_count`` and ``bytes_count`` are exact for queries: they were counted at the
    supplier without delivering a row.

    Where the price is by processor time, ``compute_ms`` is what the query has just taken; if it
    is sent within a minute it need not run again and costs just what is quoted. Later it runs
    again, and costs at most ``total_most_micro``, with VAT: there the supplier stops any query.
    """

    agreement_id: AgreementId
    rows_count: int
    bytes_count: int
    charge_micro: MicroWon
    vat_micro: MicroWon
    compute_ms: int | None = None
    total_most_micro: MicroWon | None = None


class DecisionView(OwnWire):
    """One stored policy decision, as the supplier and the buyer may read it."""

    decision_id: str
    act_id: str
    agreement_id: AgreementId
    consumer_id: ParticipantId
    mode: str
    is_allowed: bool
    code: str
    reason: Text
    decided_at: Time
