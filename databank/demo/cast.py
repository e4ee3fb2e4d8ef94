"""The players of the walk: the bank's services, four companies, the operator's people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from databank.client.api import Api
from databank.client.profile import Profile
from databank.client.session import Session
from databank.demo.story import Company
from databank.up import Bank
from schemas.bank import Balance, DepositRequest, PaymentList, StatementList, TrialBalance
from schemas.close import CloseReport
from schemas.participant import Participant, ParticipantList

PATIENCE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
_Value = TypeVar("_Value")


class WaitError(Exception):
    """Something that must come did not come in time."""


def wait_for(what: str, look: Callable[[], _Value | None]) -> _Value:
    """Look until there is something to see.

    Raises:
        WaitError: There was nothing for ``PATIENCE_SECONDS``.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (seen := look()) is None:
        if time.monotonic() > deadline:
            raise WaitError(f"{what}: {PATIENCE_SECONDS:.0f}초 안에 오지 않았습니다 (timed out)")
        time.sleep(POLL_SECONDS)
    return seen


class Cast:
    """Sessions and admin calls, all over HTTP."""

    def __init__(self, bank: Bank, http: httpx.Client) -> None:
        self._bank = bank
        self._http = http
        self.broker = self._admin("broker")
        self.clearing = self._admin("clearing")

    def _admin(self, name: str) -> Api:
        member = self._bank.members[name]
        return Api(member.url, member.admin_token, self._http)

    def session(self, company: Company) -> Session:
        """Return a session of a company with its own connector."""
        member = self._bank.members[company.handle]
        return Session(Profile(member.url, member.admin_token), http=self._http)

    def join(self, company: Company, *, name: str) -> Participant:
        """Let a company's people register it, and the operator's people admit it."""
        body = {"handle": company.handle, "name": name, "brn": company.brn}
        joined = self.session(company).management.post("/management/join", body)
        participant = Participant.model_validate(joined)
        change = {"participant_id": participant.id, "reason": "demo"}
        return Participant.model_validate(self.broker.post("/participants/approval", change))

    def participants(self) -> list[Participant]:
        """Return who is registered."""
        answer = self.broker.get("/participants")
        return list(ParticipantList.model_validate(answer).participants)

    def deposit(self, participant: Participant, amount_won: int, reference: str) -> Balance:
        """Book money that arrived at the bank."""
        request = DepositRequest(
            deposit_id=reference, participant_id=participant.id, amount_won=amount_won
        )
        return Balance.model_validate(self.clearing.post("/deposits", request.to_json()))

    def close(self, period: str) -> StatementList:
        """Close a month; return its statements.

        Raises:
            WaitError: The close did not finish.
        """
        report = CloseReport.model_validate(self.clearing.post(f"/periods/{period}/close"))
        if not report.is_closed:
            raise WaitError(f"{period}: 마감되지 않았습니다 (not closed)")
        answer = self.clearing.get(f"/admin/statements/{period}")
        return StatementList.model_validate(answer)

    def payments(self, period: str) -> PaymentList:
        """Return who paid whom in a month."""
        return PaymentList.model_validate(self.clearing.get("/admin/payments", period=period))

    def log_key(self) -> str:
        """Return the key of clearing's log, as the operator tells it."""
        return self._http.get(f"{self.clearing.url}/log/key").text.strip()

    def trial_balance(self) -> TrialBalance:
        """Return the sums of the books."""
        return TrialBalance.model_validate(self.clearing.get("/trial-balance"))
