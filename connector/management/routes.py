"""What the company's own people and tools ask of their connector: joining and contracts."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import Depends, Query, Request, Response

from connector.identity.rotation import rotate
from connector.management import agreements as agreeing
from connector.management import joining, transfers
from connector.management import negotiations as negotiating
from connector.management.bank import (
    ask_clearing,
    ask_clearing_for_bytes,
    check_period,
    passbook_bytes,
    passbook_page,
    tell_clearing,
)
from connector.runtime import Runtime, get_runtime
from databank.kit.app import AdminDep
from databank.kit.routes import Router
from schemas.billing import BillingProfile
from schemas.bundle import BUNDLE_TYPE, Bundle
from schemas.dispute import (
    AcceptanceRequest,
    EvidenceRequest,
    OpenRequest,
    ProposalRequest,
    WithdrawalRequest,
)
from schemas.ids import AgreementId, ProcessId
from schemas.management import (
    AgreementList,
    AgreementView,
    EndRequest,
    Joining,
    NegotiateRequest,
    NegotiationAnswer,
    NegotiationList,
    NegotiationView,
    Services,
    TransferRequest,
    TransferView,
)
from schemas.participant import Participant
from schemas.wire import OwnWire

router = Router(prefix="/management", tags=["management"], dependencies=[AdminDep])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
WaitDep = Annotated[float, Query(ge=0, le=60, description="Wait so long for a final state.")]
Shown = dict[str, Any]
NEGOTIATE_BYTES_MAX = 4 * 2**20  # it carries the columns of a whole dataset
PassbookForm = Literal["csv", "pdf"]
PASSBOOK_TYPES: Final = {"csv": "text/csv", "pdf": "application/pdf"}


@router.post("/join", status_code=201, response_model_exclude_none=True)
def join(request: Joining, runtime: RuntimeDep) -> Participant:
    """Register at the broker, or repeat an earlier registration."""
    return joining.join(runtime, request)


@router.get("/participant", response_model_exclude_none=True)
def participant(runtime: RuntimeDep) -> Participant:
    """Return how the registry knows us."""
    return joining.own_participant(runtime)


@router.post("/key-rotation", response_model_exclude_none=True)
def rotate_key(runtime: RuntimeDep) -> Participant:
    """Replace our signing key; the old one verifies for a few minutes more."""
    return rotate(runtime)


@router.get("/services")
def services(runtime: RuntimeDep) -> Services:
    """Return where the operator's services are."""
    settings = runtime.settings
    return Services(
        broker_url=settings.broker_url,
        catalog_url=settings.catalog_url,
        clearing_url=settings.clearing_url,
    )


@router.post("/negotiations", status_code=201, max_body_size=NEGOTIATE_BYTES_MAX)
def negotiate(request: NegotiateRequest, runtime: RuntimeDep) -> NegotiationView:
    """Ask for an offer as it stands, or on other terms."""
    return negotiating.negotiate(runtime, request)


@router.get("/negotiations")
def negotiations(
    runtime: RuntimeDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> NegotiationList:
    """Return negotiations, latest change first."""
    return negotiating.negotiations(runtime, limit)


@router.get("/inbox")
def inbox(
    runtime: RuntimeDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> NegotiationList:
    """Return the proposals that wait for our answer, longest waiting first."""
    return negotiating.inbox(runtime, limit)


@router.get("/negotiations/{pid}")
async def negotiation(
    pid: str, request: Request, runtime: RuntimeDep, wait_seconds: WaitDep = 0
) -> NegotiationView:
    """Return a negotiation, once it is final or awaits our answer, or the wait is over."""
    return await negotiating.wait_for_negotiation(request, runtime, ProcessId(pid), wait_seconds)


@router.post("/negotiations/{pid}/answer")
def answer(pid: str, said: NegotiationAnswer, runtime: RuntimeDep) -> NegotiationView:
    """Accept the counterparty's proposal, counter it, or refuse."""
    return negotiating.answer(runtime, ProcessId(pid), said)


@router.post("/negotiations/{pid}/termination")
def terminate_negotiation(pid: str, request: EndRequest, runtime: RuntimeDep) -> NegotiationView:
    """End a negotiation that is not final."""
    return negotiating.terminate_negotiation(runtime, ProcessId(pid), request)


@router.get("/agreements")
def agreements(
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ref: Annotated[str | None, Query(max_length=100, description="Dataset: handle.name")] = None,
) -> AgreementList:
    """Return agreements, newest first; with ``ref`` those that let us use that dataset now."""
    if ref is not None:
        return agreeing.bought_agreements(runtime, ref)
    return agreeing.agreement_list(runtime, limit)


@router.post("/agreements/{agreement_id}/termination")
def end_agreement(agreement_id: str, request: EndRequest, runtime: RuntimeDep) -> AgreementView:
    """End a running agreement; effective at the next read."""
    return agreeing.end_agreement(runtime, AgreementId(agreement_id), request)


@router.post("/transfers", status_code=201)
def transfer(request: TransferRequest, runtime: RuntimeDep) -> TransferView:
    """Start the transfer process of an agreement, or return the running one."""
    return transfers.transfer(runtime, request.agreement_id)


@router.get("/transfers/{pid}")
async def transfer_process(
    pid: str, request: Request, runtime: RuntimeDep, wait_seconds: WaitDep = 0
) -> TransferView:
    """Return a transfer process, once it has left REQUESTED or the wait is over."""
    return await transfers.show_transfer(request, runtime, ProcessId(pid), wait_seconds)


@router.post("/transfers/{pid}/{change}")
def change_transfer(
    pid: str, change: transfers.Change, request: EndRequest, runtime: RuntimeDep
) -> TransferView:
    """Start or resume, complete, suspend or terminate; effective at the next read."""
    return transfers.change_transfer(runtime, ProcessId(pid), change, request)


@router.get("/agreements/{agreement_id}/comparison")
def comparison(agreement_id: AgreementId, period: str, runtime: RuntimeDep) -> Shown:
    """Return both sides' signed counts from clearing (`schemas.attestation.Comparison`)."""
    check_period(period)
    return ask_clearing(
        runtime, "/usage/comparison", {"agreement_id": agreement_id, "period": period}
    )


@router.get("/disputes")
def disputes(runtime: RuntimeDep) -> Shown:
    """Return our disputes from clearing (`schemas.dispute.DisputeList`)."""
    return ask_clearing(runtime, "/disputes", {})


@router.post("/disputes")
def open_dispute(wish: OpenRequest, runtime: RuntimeDep) -> Shown:
    """Contest a stated month of an agreement (`schemas.dispute.DisputeView`)."""
    return tell_clearing(runtime, "/disputes", wish.to_json())


@router.get("/disputes/{dispute_id}")
def dispute(dispute_id: str, runtime: RuntimeDep) -> Shown:
    """Return one of our disputes (`schemas.dispute.DisputeView`)."""
    return ask_clearing(runtime, f"/disputes/{quote(dispute_id, safe='')}", {})


@router.post("/disputes/{dispute_id}/evidence")
def add_evidence(dispute_id: str, wish: EvidenceRequest, runtime: RuntimeDep) -> Shown:
    """Add evidence."""
    return _move_dispute(runtime, dispute_id, "evidence", wish)


@router.post("/disputes/{dispute_id}/proposals")
def propose_refund(dispute_id: str, wish: ProposalRequest, runtime: RuntimeDep) -> Shown:
    """Say which refund we would agree to."""
    return _move_dispute(runtime, dispute_id, "proposals", wish)


@router.post("/disputes/{dispute_id}/acceptance")
def accept_refund(dispute_id: str, wish: AcceptanceRequest, runtime: RuntimeDep) -> Shown:
    """Agree to what the other side proposed last."""
    return _move_dispute(runtime, dispute_id, "acceptance", wish)


@router.post("/disputes/{dispute_id}/withdrawal")
def withdraw_dispute(dispute_id: str, wish: WithdrawalRequest, runtime: RuntimeDep) -> Shown:
    """Take our dispute back."""
    return _move_dispute(runtime, dispute_id, "withdrawal", wish)


def _move_dispute(runtime: Runtime, dispute_id: str, what: str, wish: OwnWire) -> Shown:
    return tell_clearing(runtime, f"/disputes/{quote(dispute_id, safe='')}/{what}", wish.to_json())


@router.get("/balance")
def balance(runtime: RuntimeDep) -> Shown:
    """Return our balance at clearing (`schemas.bank.Balance`)."""
    return ask_clearing(runtime, "/balance", {})


@router.get("/passbook")
def passbook(
    runtime: RuntimeDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    period: str | None = None,
) -> Shown:
    """Return our passbook at clearing, all of it or one month (`schemas.bank.Passbook`)."""
    return passbook_page(runtime, cursor=cursor, limit=limit, period=period)


@router.get("/statements/{period}")
def statement(
    period: str, runtime: RuntimeDep, number: Annotated[int | None, Query(ge=1, le=2**31)] = None
) -> Shown:
    """Return our latest statement of a period, or one by number (`schemas.bank.Statement`)."""
    check_period(period)
    params = {} if number is None else {"number": str(number)}
    return ask_clearing(runtime, f"/statements/{period}", params)


@router.get("/statements/{period}/bundle", response_model=Bundle)
def bundle(
    period: str, runtime: RuntimeDep, number: Annotated[int | None, Query(ge=1, le=2**31)] = None
) -> Response:
    """Return our statement with all that it follows from, byte by byte as clearing made it."""
    check_period(period)
    params = {} if number is None else {"number": str(number)}
    content = ask_clearing_for_bytes(runtime, f"/statements/{period}/bundle", params)
    return Response(content, media_type=BUNDLE_TYPE)


@router.get("/statements/{period}/pdf")
def statement_pdf(
    period: str, runtime: RuntimeDep, number: Annotated[int | None, Query(ge=1, le=2**31)] = None
) -> Response:
    """Return our statement as PDF, as clearing printed it."""
    check_period(period)
    params = {} if number is None else {"number": str(number)}
    content = ask_clearing_for_bytes(runtime, f"/statements/{period}/pdf", params)
    return Response(content, media_type="application/pdf")


@router.get("/passbook/{form}")
def passbook_file(form: PassbookForm, runtime: RuntimeDep, period: str | None = None) -> Response:
    """Return our passbook as a file, all of it or one month."""
    content = passbook_bytes(runtime, form, period)
    return Response(content, media_type=PASSBOOK_TYPES[form])


@router.get("/billing-profile")
def billing_profile(runtime: RuntimeDep) -> Shown:
    """Return what invoices and payouts know of us (`schemas.billing.StoredProfile`)."""
    return ask_clearing(runtime, "/billing-profile", {})


@router.post("/billing-profile")
def put_billing_profile(profile: BillingProfile, runtime: RuntimeDep) -> Shown:
    """Tell what invoices and payouts need of us (`schemas.billing.StoredProfile`)."""
    return tell_clearing(runtime, "/billing-profile", profile.to_json())


@router.get("/invoices/{period}")
def invoices(period: str, runtime: RuntimeDep) -> Shown:
    """Return our invoice drafts of a period (`schemas.invoice.InvoiceList`)."""
    check_period(period)
    return ask_clearing(runtime, f"/invoices/{period}", {})


@router.get("/invoices/{period}/{invoice_id}/ubl")
def invoice_ubl(period: str, invoice_id: str, runtime: RuntimeDep) -> Response:
    """Return one of our invoices as UBL 2.1."""
    check_period(period)
    path = f"/invoices/{period}/{quote(invoice_id, safe='')}/ubl"
    return Response(ask_clearing_for_bytes(runtime, path, {}), media_type="application/xml")
