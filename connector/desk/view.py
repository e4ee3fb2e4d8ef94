"""What the desk's pages show of negotiations and agreements, as values for templates. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from connector.negotiation.machine import FINAL, State
from schemas.approval import Approval
from schemas.dataset import Listing
from schemas.management import AgreementView, NegotiationView, ProcessRole, Round
from schemas.price import PricePlan, price_sentence
from schemas.proposal import Proposal, read_proposal
from schemas.refusal import BY_PEOPLE, RefusalCode, refusal_text, said_in_both
from schemas.terms import Sentence, Terms, UnknownTermError, field_sentences, title_of
from schemas.wire import Text

DESK: Final = "/desk"
POLICY_CHARS_MAX: Final = 20_000
NO_TITLE: Final = Text(ko="제목 없는 데이터셋", en="Dataset without a title")
_ENDINGS: Final = (
    ("_forbidden", "{} 금지", "no {}"),
    ("_days", "{} (일)", "{} (days)"),
    ("_percent", "{} (%)", "{} (%)"),
)
_FINAL: Final = frozenset(state.value for state in FINAL)


def page_of(kind: str, id_: str) -> str:
    """Return the address of one negotiation, agreement or dataset."""
    return f"{DESK}/{kind}/{quote(id_, safe=':')}"


@dataclass(frozen=True, slots=True)
class OnTable:
    """A proposal in words: its price, and its terms with their marks."""

    price: Text
    terms: tuple[Sentence, ...]


def in_words(proposal: Proposal) -> OnTable:
    """Say a proposal, enforced terms first; the price stands apart."""
    said = field_sentences(proposal.terms).values()
    terms = tuple(sorted(said, key=lambda sentence: not sentence.is_enforced))
    return OnTable(price_sentence(proposal.plan), terms)


def policy_in_words(policy: dict[str, Any]) -> OnTable | None:
    """Say a policy, or None if it is outside our profile."""
    try:
        return in_words(read_proposal(policy))
    except UnknownTermError:
        return None


def policy_text(policy: dict[str, Any]) -> str:
    """Write a policy as it came, for who wants to look."""
    return json.dumps(policy, ensure_ascii=False, indent=2)[:POLICY_CHARS_MAX]


def last_round(negotiation: NegotiationView) -> Round | None:
    """Return the proposal on the table."""
    return negotiation.rounds[-1] if negotiation.rounds else None


def can_accept(negotiation: NegotiationView) -> bool:
    """Whether the proposal on the table waits for us and can be said in words."""
    last = last_round(negotiation)
    return negotiation.awaits_us and last is not None and last.proposal is not None


def to_start_from(negotiation: NegotiationView) -> Proposal:
    """Return what a counter-offer starts from: the last proposal that we can read."""
    known = [each.proposal for each in negotiation.rounds if each.proposal is not None]
    return known[-1] if known else Proposal(terms=Terms(), plan=PricePlan())


def is_open(negotiation: NegotiationView) -> bool:
    """Whether it may still be ended."""
    return negotiation.state not in _FINAL


def is_agreed(negotiation: NegotiationView) -> bool:
    """Whether it has ended in an agreement."""
    return negotiation.state == State.FINALIZED


def is_ours(each: Round, role: ProcessRole) -> bool:
    """Whether a proposal was our side's."""
    return each.by is role


def negotiation_address(negotiation: NegotiationView) -> str:
    """Return the address of a negotiation's page."""
    return page_of("negotiations", negotiation.pid)


def agreement_address(agreement_id: str) -> str:
    """Return the address of an agreement's page."""
    return page_of("agreements", agreement_id)


def begin_address(wanted: str) -> str:
    """Return where a negotiation about a dataset is begun."""
    return f"{DESK}/begin?ref={quote(wanted, safe=':')}"


def ref_of(listing: Listing) -> str:
    """Return what a listed dataset is called in SQL."""
    return f"{listing.provider_handle}.{listing.dataset.name}"


def seen_of(listing: Listing) -> str:
    """Return the digest of what a confirmation shows.

    The offer's id is not enough: not every supplier renames what it changes.
    """
    shown = json.dumps([listing.offer_id, listing.policy], sort_keys=True)
    return hashlib.sha256(shown.encode()).hexdigest()


def listed_proposal(listing: Listing) -> Proposal | None:
    """Return the listed terms and price, or None if they are outside our profile."""
    try:
        return read_proposal(listing.policy)
    except UnknownTermError:
        return None


def takes_proposals(listing: Listing) -> bool:
    """Whether the supplier takes other terms than the listed."""
    return listing.approval is not Approval.AUTOMATIC


def lets_us_use(agreement: AgreementView, dataset_id: str) -> bool:
    """Whether we may use a dataset under an agreement now."""
    is_of_it = agreement.dataset_id == dataset_id
    return is_of_it and agreement.role is ProcessRole.CONSUMER and not agreement.is_over


def is_asked_by_us(negotiation: NegotiationView, dataset_id: str) -> bool:
    """Whether we already negotiate about a dataset as its buyer."""
    is_of_it = negotiation.dataset_id == dataset_id
    return is_of_it and negotiation.role is ProcessRole.CONSUMER and is_open(negotiation)


def approval_address(dataset_id: str) -> str:
    """Return where a dataset's approval is changed."""
    return f"{page_of('datasets', dataset_id)}/approval"


def field_title(name: str) -> Text:
    """Return the title of a field of the terms, with what its name says of its unit."""
    title = title_of(name)
    for ending, ko, en in _ENDINGS:
        if name.endswith(ending):
            return Text(ko=ko.format(title.ko), en=en.format(title.en))
    return title


def title(shown: NegotiationView | AgreementView) -> Text:
    """Return how a dataset is called in a list."""
    said = shown.dataset_title.strip()
    return Text(ko=said, en=said) if said else NO_TITLE


def counterparty(agreement: AgreementView) -> str:
    """Return the other side's name, or its id where the registry does not say it."""
    if agreement.role is ProcessRole.PROVIDER:
        return agreement.consumer_name or agreement.consumer_id
    return agreement.provider_name or agreement.provider_id


def own_id(agreement: AgreementView) -> str:
    """Return our own id in an agreement."""
    is_provider = agreement.role is ProcessRole.PROVIDER
    return agreement.provider_id if is_provider else agreement.consumer_id


@dataclass(frozen=True, slots=True)
class Why:
    """Why something ended: our sentence for the word, or the foreign word; and the words."""

    kind: Text | None
    words: str | None


def why(code: str | None, reason: str | None) -> Why:
    """Say why something ended; words that only repeat the sentence are left out."""
    kind = refusal_text(code)
    if kind is None:
        return Why(Text(ko=code, en=code) if code else None, reason)
    is_repeated = code is not None and reason == said_in_both(RefusalCode(code))
    return Why(kind, None if is_repeated else reason)


def reasons() -> list[tuple[str, Text]]:
    """Return what people choose from when they refuse or end something."""
    found = ((code.value, refusal_text(code.value)) for code in BY_PEOPLE)
    return [(code, text) for code, text in found if text is not None]
