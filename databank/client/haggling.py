"""Negotiations and agreements of our company: what waits for us, what we answer, what we end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databank.client.api import Api
from schemas.management import (
    AgreementList,
    AgreementView,
    EndRequest,
    NegotiationAnswer,
    NegotiationList,
    NegotiationView,
)
from schemas.problem import InvalidRequestError, NotFoundError
from schemas.refusal import RefusalCode

LISTED_MAX: Final = 1000  # as many as the connector tells at once
SUFFIX_CHARS_MIN: Final = 4


class Haggling:
    """The negotiations of one connector."""

    def __init__(self, management: Api) -> None:
        self._management = management

    def inbox(self) -> tuple[NegotiationView, ...]:
        """Return the proposals that wait for our answer, longest waiting first."""
        answer = self._management.get("/management/inbox", limit=LISTED_MAX)
        return NegotiationList.model_validate(answer).negotiations

    def all(self, *, limit: int = 100) -> tuple[NegotiationView, ...]:
        """Return negotiations, latest change first."""
        answer = self._management.get("/management/negotiations", limit=limit)
        return NegotiationList.model_validate(answer).negotiations

    def get(self, name: str, *, wait_seconds: float = 0) -> NegotiationView:
        """Return a negotiation with its rounds.

        Args:
            name: Its pid, or the end of it.
            wait_seconds: How long to wait until it is over or awaits us, at most 60.

        Raises:
            NotFoundError: There is none.
            InvalidRequestError: Several end like that.
        """
        path = f"/management/negotiations/{self._pid(name)}"
        answer = self._management.get(path, wait_seconds=wait_seconds)
        return NegotiationView.model_validate(answer)

    def answer(self, negotiation: NegotiationView, said: NegotiationAnswer) -> NegotiationView:
        """Answer the last proposal of a negotiation, if it is still the one that was seen."""
        body = said.model_copy(update={"rounds_count": len(negotiation.rounds)})
        path = f"/management/negotiations/{negotiation.pid}/answer"
        return NegotiationView.model_validate(self._management.post(path, body.to_json()))

    def terminate(self, negotiation: NegotiationView, request: EndRequest) -> NegotiationView:
        """End a negotiation, also while the other side is to speak."""
        path = f"/management/negotiations/{negotiation.pid}/termination"
        return NegotiationView.model_validate(self._management.post(path, request.to_json()))

    def agreement(self, name: str) -> AgreementView:
        """Return a running agreement.

        Args:
            name: Its id or the end of it, or ``handle.name`` of the dataset that we use.

        Raises:
            NotFoundError: There is none.
            InvalidRequestError: It could be several.
        """
        path = "/management/agreements"
        if "." in name and ":" not in name:
            found = AgreementList.model_validate(self._management.get(path, ref=name)).agreements
        else:
            answer = self._management.get(path, limit=LISTED_MAX)
            known = AgreementList.model_validate(answer).agreements
            found = tuple(a for a in known if _is_named(a.agreement_id, name))
        if len(found) == 1:
            return found[0]
        if found:
            raise _several(name, [a.agreement_id for a in found])
        raise NotFoundError(
            ko=f"합의 {name}이(가) 없습니다. `databank agreements`로 확인하세요.",
            en=f"There is no agreement {name}. See `databank agreements`.",
        )

    def agreements_on(self, name: str) -> list[AgreementView]:
        """Return both sides' agreements on ``handle.name``, or with this (end of an) id."""
        answer = self._management.get("/management/agreements", limit=LISTED_MAX)
        known = AgreementList.model_validate(answer).agreements
        if "." in name and ":" not in name:
            return [a for a in known if f"{a.provider_handle}.{a.dataset_name}" == name]
        return [a for a in known if _is_named(a.agreement_id, name)]

    def end(self, agreement: AgreementView, code: RefusalCode, reason: str) -> AgreementView:
        """End a running agreement; effective at the next read."""
        path = f"/management/agreements/{agreement.agreement_id}/termination"
        body = EndRequest(code=code, reason=reason)
        return AgreementView.model_validate(self._management.post(path, body.to_json()))

    def _pid(self, name: str) -> str:
        if name.startswith("urn:"):
            return name
        found = [n.pid for n in self.all(limit=LISTED_MAX) if _is_named(n.pid, name)]
        if len(found) > 1:
            raise _several(name, found)
        if not found:
            raise NotFoundError(
                ko=f"협상 {name}이(가) 없습니다. `databank negotiations`로 확인하세요.",
                en=f"There is no negotiation {name}. See `databank negotiations`.",
            )
        return found[0]


def _is_named(full: str, name: str) -> bool:
    return full == name or (len(name) >= SUFFIX_CHARS_MIN and full.endswith(name))


def _several(name: str, found: Sequence[str]) -> InvalidRequestError:
    named = ", ".join(found)
    return InvalidRequestError(
        ko=f"{name}(으)로 끝나는 것이 여럿입니다: {named}. 더 길게 적으세요.",
        en=f"Several end with {name}: {named}. Write more of it.",
    )
