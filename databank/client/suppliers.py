"""Datasets of others through our own connector: find, agree, ask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow as pa

from databank.client.api import Api, expect_success
from databank.client.cost import CHARGE_HEADER, VAT_HEADER, CostLine, charged, quoted
from databank.client.listings import Found
from databank.client.ref import Ref
from databank.kit.clock import IdMaker
from databank.kit.http import RemoteRefusedError
from schemas.approval import Approval
from schemas.dataset import Dataset as Described
from schemas.dataset import DatasetSchema, Listing
from schemas.ids import AgreementId, OfferId
from schemas.management import (
    AgreementList,
    AgreementView,
    NegotiateRequest,
    NegotiationView,
    ProcessRole,
    QueryRequest,
    Quote,
    TransferView,
)
from schemas.problem import NotFoundError, ProblemError, RemoteUnavailableError
from schemas.proposal import Proposal
from schemas.search import SearchAnswer
from schemas.spending import TOTAL_MAX_HEADER
from schemas.terms import UnknownTermError, from_policy
from schemas.wire import Text

WAIT_SECONDS: Final = 10
WAITS_MAX: Final = 6
PEOPLE_SECONDS: Final = 3  # a supplier whose people are quick, or refuse by rule
NEGOTIATION_ENDS: Final = frozenset({"FINALIZED", "TERMINATED"})
AGREEMENTS_MAX: Final = 1000  # as many as the connector tells at once
TITLE_CHARS_MAX: Final = 300  # of NegotiateRequest; the supplier cuts alike
RANGE_BYTES: Final = 8 * 2**20  # what an interruption costs at most


class NoAgreementError(ProblemError):
    """The query needs a dataset for which we hold no agreement."""

    slug = "no-agreement"
    title = Text(ko="합의가 없는 데이터셋입니다", en="No agreement for this dataset")
    status = 403


class NegotiationFailedError(ProblemError):
    """The supplier ended the negotiation, or did not answer in time."""

    slug = "negotiation-failed"
    title = Text(ko="협상이 성립하지 않았습니다", en="The negotiation failed")
    status = 409


class NegotiationPendingError(ProblemError):
    """The request is with the supplier's people."""

    slug = "negotiation-pending"
    title = Text(ko="공급기업의 승인을 기다립니다", en="Waiting for the supplier's approval")
    status = 409


class BrokenAnswerError(ProblemError):
    """A delivery is not what its headers say."""

    slug = "broken-answer"
    title = Text(ko="받은 데이터가 온전하지 않습니다", en="The answer is not intact")
    status = 502


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that we may use."""

    found: Found
    agreement_id: AgreementId

    @property
    def schema(self) -> DatasetSchema:
        """Its columns, in order."""
        return self.found.listing.dataset.schema_

    @property
    def is_free(self) -> bool:
        """Whether using it costs nothing."""
        return self.found.listing.plan.is_free


class Suppliers:
    """Everyone else's datasets, as our connector reaches them."""

    def __init__(self, management: Api, *, make_id: IdMaker) -> None:
        self.management = management
        self._make_id = make_id
        self._catalog: Api | None = None
        self._started: set[AgreementId] = set()
        self._bought: dict[AgreementId, Described] = {}

    @property
    def catalog(self) -> Api:
        """The catalog that our connector works with."""
        if self._catalog is None:
            url = str(self.management.get("/management/services")["catalog_url"])
            self._catalog = Api(url.rstrip("/"), None, self.management.http)
        return self._catalog

    def search(self, words: str, **filters: Any) -> tuple[Listing, ...]:  # noqa: ANN401 - query values
        """Ask the catalog; best first."""
        answer = self.catalog.get("/search", q=words, **filters)
        return SearchAnswer.model_validate(answer).hits

    def listing(self, ref: Ref) -> Listing:
        """Return the listed dataset of that name.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return Listing.model_validate(self.catalog.get("/datasets", ref=str(ref)))
        except RemoteRefusedError as refusal:
            if refusal.remote_status != HTTPStatus.NOT_FOUND:
                raise
        raise NotFoundError(
            ko=f"{ref} 데이터셋을 찾을 수 없습니다. "
            f"이름을 확인하세요: `databank search {ref.name}`",
            en=f"There is no dataset {ref}. Look its name up with `databank search {ref.name}`.",
        )

    def agreements(self) -> list[AgreementView]:
        """Return the agreements that we hold as consumer, newest first."""
        path = "/management/agreements"
        answer = AgreementList.model_validate(self.management.get(path, limit=AGREEMENTS_MAX))
        return [a for a in answer.agreements if a.role is ProcessRole.CONSUMER]

    def found(self, listing: Listing, agreements: list[AgreementView]) -> Found:
        """Return a listing with our agreement for it."""
        key = (listing.provider_id, listing.dataset.id)
        held = (
            a.agreement_id
            for a in agreements
            if (a.provider_id, a.dataset_id) == key and not a.is_over
        )
        return Found(listing, next(held, None))

    def held(self, ref: Ref) -> Found | None:
        """Return the dataset of that name for which we hold an agreement, as it was agreed.

        Our own connector knows it: no catalog is asked, and a withdrawal changes nothing.
        """
        answer = self.management.get("/management/agreements", ref=str(ref))
        for view in AgreementList.model_validate(answer).agreements:
            listing = _as_agreed(view)
            if listing is not None:
                return Found(listing, view.agreement_id, is_listed=False)
        return None

    def current(self, ref: Ref) -> Found:
        """Return the dataset as it is listed now, or else as we have agreed on it.

        Raises:
            NotFoundError: It is not listed, and we hold no agreement for it.
            RemoteUnavailableError: The catalog is down, and we hold no agreement for it.
        """
        try:
            listing = self.listing(ref)
        except (NotFoundError, RemoteUnavailableError, RemoteRefusedError):
            found = self.held(ref)
            if found is None:
                raise
            return found
        return self.found(listing, self.agreements())

    def dataset(self, ref: Ref) -> Dataset:
        """Return a dataset that we may use, its transfer process running.

        Raises:
            NoAgreementError: We hold no agreement for it.
        """
        found = self.held(ref)
        if found is None:  # or agreed on by other means than this SDK: then its listing tells
            found = self.found(self.listing(ref), self.agreements())
        listing = found.listing
        if found.agreement_id is None:
            raise NoAgreementError(
                ko=f"{ref} ({listing.dataset.title.ko}, {listing.provider_name}, "
                f"{found.price()})에 대한 합의가 없습니다. "
                f'먼저 db.agree("{ref}") 또는 `databank negotiate {ref}`를 하세요.',
                en=f"There is no agreement for {ref} ({listing.dataset.title.en}, "
                f"{listing.provider_name}, {found.price('en')}). "
                f'First call db.agree("{ref}") or run `databank negotiate {ref}`.',
                dataset=str(ref),
            )
        self.start_transfer(found.agreement_id)
        return Dataset(self._as_bought(found, found.agreement_id), found.agreement_id)

    def _as_bought(self, found: Found, agreement_id: AgreementId) -> Found:
        """Return a dataset with the columns and the file that were agreed on.

        After a counter-offer they are others than those of the listing.
        """
        if agreement_id not in self._bought:
            path = f"/management/agreements/{agreement_id}/dataset"
            self._bought[agreement_id] = Described.model_validate(self.management.get(path))
        listing = found.listing.model_copy(update={"dataset": self._bought[agreement_id]})
        return replace(found, listing=listing)

    def negotiate(
        self, listing: Listing, proposal: Proposal | None = None, *, starts_transfer: bool = False
    ) -> NegotiationView:
        """Ask for a listing's offer, as it stands or on other terms.

        With ``starts_transfer``, its transfer process begins with the agreement.

        Returns once it is over, or it is our turn again, or people at the supplier have to answer.
        """
        body = NegotiateRequest(
            provider_id=listing.provider_id,
            dataset_id=listing.dataset.id,
            offer_id=listing.offer_id,
            policy=listing.policy,
            proposal=proposal,
            dataset_title=listing.dataset.title.ko[:TITLE_CHARS_MAX],
            dataset=listing.dataset.model_copy(update={"sample": (), "sample_columns": ()}),
            starts_transfer=starts_transfer,
        )
        answer = self.management.post("/management/negotiations", body.to_json())
        is_rule = listing.approval is Approval.AUTOMATIC or (
            listing.approval is Approval.NEGOTIABLE and proposal is None
        )
        return self._wait(NegotiationView.model_validate(answer), is_rule=is_rule)

    def _wait(self, view: NegotiationView, *, is_rule: bool) -> NegotiationView:
        waits, seconds = (WAITS_MAX, WAIT_SECONDS) if is_rule else (1, PEOPLE_SECONDS)
        for _ in range(waits):
            if view.state in NEGOTIATION_ENDS or view.awaits_us:
                break
            path = f"/management/negotiations/{view.pid}"
            view = NegotiationView.model_validate(self.management.get(path, wait_seconds=seconds))
        return view

    def agree(self, listing: Listing) -> AgreementId:
        """Take a listing's offer as it stands, and wait until it is an agreement.

        Raises:
            NegotiationPendingError: People at the supplier have to answer first.
            NegotiationFailedError: The supplier ended it, or it takes too long.
        """
        view = self.negotiate(listing, starts_transfer=True)
        if view.state == "FINALIZED" and view.agreement_id is not None:
            self.start_transfer(view.agreement_id)
            return view.agreement_id
        if view.state != "TERMINATED" and listing.approval is Approval.MANUAL:
            name = f"{listing.provider_handle}.{listing.dataset.name}"
            raise NegotiationPendingError(
                ko=f"{name}: 공급기업이 승인해야 합의가 됩니다. 요청은 보냈습니다. "
                f"`databank negotiation {view.pid}`로 답을 확인하세요.",
                en=f"{name}: the supplier has to approve. The request is sent. Look for the "
                f"answer with `databank negotiation {view.pid}`.",
                pid=view.pid,
            )
        raise _failed(view.state, view.reason)

    def start_transfer(self, agreement_id: AgreementId) -> None:
        """Make sure that a transfer process of the agreement is running.

        Raises:
            NegotiationFailedError: The supplier does not start it.
        """
        if agreement_id in self._started:
            return
        answer = self.management.post("/management/transfers", {"agreement_id": agreement_id})
        view = TransferView.model_validate(answer)
        for _ in range(WAITS_MAX):
            if view.state == "STARTED":
                self._started.add(agreement_id)
                return
            if view.state in {"TERMINATED", "COMPLETED"}:
                break
            path = f"/management/transfers/{view.pid}"
            view = TransferView.model_validate(self.management.get(path, wait_seconds=WAIT_SECONDS))
        raise _failed(view.state, view.reason)

    def price(self, ref: Ref, dataset: Dataset, sql: str | None) -> CostLine:
        """Ask what a query, or reading the whole file, would cost."""
        path = f"/management/agreements/{dataset.agreement_id}/quote"
        answer = self.management.repeat("POST", path, json={} if sql is None else {"sql": sql})
        listing, quote = dataset.found.listing, Quote.model_validate(answer)
        is_covered = sql is None and quote.rows_count == 0 and quote.bytes_count == 0
        is_paid_before = is_covered and not listing.plan.is_free and listing.dataset.rows_count > 0
        return quoted(ref, listing.provider_name, quote, is_paid_before=is_paid_before)

    def query(
        self, ref: Ref, dataset: Dataset, sql: str, *, total_max_micro: int | None = None
    ) -> tuple[pa.Table, CostLine]:
        """Run a query at its supplier; a lost answer is asked for again, not paid again.

        The supplier refuses what would cost more than ``total_max_micro`` with VAT.

        Raises:
            BrokenAnswerError: The answer holds other rows than were charged.
        """
        request = QueryRequest(query_id=self._make_id(), sql=sql, total_max_micro=total_max_micro)
        body = request.to_json()
        path = f"/management/agreements/{dataset.agreement_id}/query"
        response = expect_success(self.management.send_repeatedly("POST", path, json=body))
        try:
            with pa.ipc.open_stream(response.content) as reader:
                table = reader.read_all()
            line = charged(ref, dataset.found.listing.provider_name, response.headers)
        except (pa.ArrowException, ValueError) as error:
            raise _broken(ref, str(error)) from None
        if table.num_rows != line.rows_count:
            raise _broken(ref, f"{table.num_rows} rows where {line.rows_count} were charged")
        return table, line

    def read(
        self,
        ref: Ref,
        dataset: Dataset,
        path: Path,
        *,
        on_bytes: Callable[[int, int], None],
        range_bytes: int = RANGE_BYTES,
        total_max_micro: int | None = None,
    ) -> None:
        """Read the Arrow file into ``path``; goes on where an earlier call stopped.

        It asks for one range after the other, so that what is lost on the way is paid for at
        most ``range_bytes`` long. ``on_bytes`` is told how many bytes are there, and of how many.
        What would bring the ranges of this call above ``total_max_micro`` with VAT is refused.

        Raises:
            BrokenAnswerError: What came is not the published file.
        """
        listing, partial = dataset.found.listing, path.with_name(path.name + ".part")
        total = listing.dataset.file_bytes
        api_path = f"/management/agreements/{dataset.agreement_id}/data"
        here = partial.stat().st_size if partial.exists() else 0
        while here < total:
            last = min(here + range_bytes, total) - 1
            headers = {"Range": f"bytes={here}-{last}"}
            if total_max_micro is not None:
                headers[TOTAL_MAX_HEADER] = str(total_max_micro)
            response = self.management.send_repeatedly("GET", api_path, headers=headers)
            content = expect_success(response).content
            if total_max_micro is not None:
                total_max_micro = max(0, total_max_micro - _charged_for_range(ref, response))
            said = response.headers.get("content-range", f"bytes 0-{len(content) - 1}/{total}")
            if said != f"bytes {here}-{last}/{total}" or len(content) != last + 1 - here:
                raise _broken(ref, f"{said} where bytes {here}-{last}/{total} were asked")
            with partial.open("ab") as file:
                file.write(content)
            here = last + 1
            on_bytes(here, total)
        _check_file(ref, partial, listing.dataset.data_sha256)
        partial.rename(path)


def _as_agreed(view: AgreementView) -> Listing | None:
    """Return an agreement's dataset as a listing of the agreed terms, if we can read them."""
    if view.dataset is None:
        return None
    try:
        _, plan = from_policy(view.policy)
    except UnknownTermError:
        return None
    return Listing(
        dataset=view.dataset,
        provider_id=view.provider_id,
        provider_name=view.provider_name or view.provider_id,
        provider_handle=view.provider_handle or "",
        dsp_url="",
        offer_id=OfferId(view.agreement_id),
        policy=view.policy,
        plan=plan,
    )


def _charged_for_range(ref: Ref, response: httpx.Response) -> int:
    """Return what a range cost with VAT; what was paid for before has no charge."""
    said = (response.headers.get(name, "0") for name in (CHARGE_HEADER, VAT_HEADER))
    try:
        return sum(map(int, said))
    except ValueError as error:
        raise _broken(ref, str(error)) from None


def _check_file(ref: Ref, path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        is_intact = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    if not is_intact:
        path.unlink()
        raise _broken(ref, "sha256 differs from the listing's")


def _failed(state: str, reason: str | None) -> NegotiationFailedError:
    why = reason or "제한 시간 안에 끝나지 않았습니다 (timed out)"
    return NegotiationFailedError(
        ko=f"상태 {state}: {why}. 공급기업에 문의하거나 잠시 뒤 다시 시도하세요.",
        en=f"State {state}: {why}. Ask the supplier, or try again later.",
        state=state,
    )


def _broken(ref: Ref, why: str) -> BrokenAnswerError:
    return BrokenAnswerError(
        ko=f"{ref}: {why}. 다시 시도하세요.", en=f"{ref}: {why}. Try again.", dataset=str(ref)
    )
