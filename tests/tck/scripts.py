"""Who the kit is, and what we say in each of its tests, by the id of dataset or agreement.

A script is a list of "state: our message". Its next line is said once the process stands in
that state; otherwise, and at the end, we wait. An id without lines only waits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from connector.negotiation import machine as negotiation
from connector.transfer import machine as transfer
from schemas.ids import ParticipantId

PEER: Final = ParticipantId("TCK_PARTICIPANT")  # the kit calls itself so
AUTHORIZATION: Final = "Bearer the-kit"


class NegotiationLine(NamedTuple):
    """Said once in this state."""

    state: negotiation.State
    message: negotiation.Message


class TransferLine(NamedTuple):
    """Said once in this state."""

    state: transfer.State
    message: transfer.Message


# We are the provider; the key is the dataset.
PROVIDER_NEGOTIATIONS: Final = {
    "ACN0101": "REQUESTED: OFFER",
    "ACN0102": "REQUESTED: OFFER, REQUESTED: TERMINATE",
    "ACN0103": "REQUESTED: OFFER, ACCEPTED: AGREE, VERIFIED: FINALIZE",
    "ACN0104": "REQUESTED: AGREE, VERIFIED: FINALIZE",
    "ACN0201": "REQUESTED: TERMINATE",
    "ACN0202": "",
    "ACN0203": "REQUESTED: AGREE",
    "ACN0204": "REQUESTED: OFFER",
    "ACN0205": "REQUESTED: OFFER, OFFERED: TERMINATE",
    "ACN0206": "REQUESTED: OFFER, ACCEPTED: TERMINATE",
    "ACN0207": "REQUESTED: AGREE, VERIFIED: TERMINATE",
    "ACN0301": "REQUESTED: AGREE, VERIFIED: FINALIZE",
    "ACN0302": "REQUESTED: OFFER",
    "ACN0303": "REQUESTED: OFFER",
    "ACN0304": "REQUESTED: OFFER",
}
# We are the consumer; the key is the dataset.
CONSUMER_NEGOTIATIONS: Final = {
    "ACNC0101": "OFFERED: ACCEPT, AGREED: VERIFY",
    "ACNC0102": "OFFERED: REQUEST",
    "ACNC0103": "OFFERED: TERMINATE",
    "ACNC0104": "AGREED: VERIFY",
    "ACNC0201": "",
    "ACNC0202": "REQUESTED: TERMINATE",
    "ACNC0203": "AGREED: TERMINATE",
    "ACNC0204": "",
    "ACNC0205": "OFFERED: ACCEPT",
    "ACNC0206": "AGREED: VERIFY",
    "ACNC0301": "",
    "ACNC0302": "",
    "ACNC0303": "",
    "ACNC0304": "OFFERED: ACCEPT",
    "ACNC0305": "OFFERED: ACCEPT",
    "ACNC0306": "OFFERED: ACCEPT",
}
# We are the provider; the key is the agreement.
PROVIDER_TRANSFERS: Final = {
    "ATP0101": "REQUESTED: START, STARTED: TERMINATE",
    "ATP0102": "REQUESTED: START, STARTED: COMPLETE",
    "ATP0103": "REQUESTED: START, STARTED: SUSPEND, SUSPENDED: TERMINATE",
    "ATP0104": "REQUESTED: START, STARTED: SUSPEND, SUSPENDED: START, STARTED: COMPLETE",
    "ATP0105": "REQUESTED: TERMINATE",
    "ATP0201": "REQUESTED: START",
    "ATP0202": "REQUESTED: START",
    "ATP0203": "REQUESTED: START",
    "ATP0205": "",
    "ATP0301": "",
    "ATP0302": "",
    "ATP0303": "REQUESTED: START",
    "ATP0304": "REQUESTED: START",
    "ATP0305": "REQUESTED: START",
    "ATP0306": "REQUESTED: START",
}
# We are the consumer; the key is the agreement.
CONSUMER_TRANSFERS: Final = {
    "ATPC0101": "",
    "ATPC0102": "",
    "ATPC0103": "",
    "ATPC0104": "",
    "ATPC0105": "",
    "ATPC0201": "STARTED: TERMINATE",
    "ATPC0202": "STARTED: COMPLETE",
    "ATPC0203": "STARTED: SUSPEND, SUSPENDED: TERMINATE",
    "ATPC0205": "REQUESTED: TERMINATE",
    "ATPC0301": "",
    "ATPC0302": "",
    "ATPC0303": "",
    "ATPC0304": "",
    "ATPC0305": "",
    "ATPC0306": "",
}
LISTED: Final = ("CAT0101", "CAT0102")  # datasets of the catalog tests
NOT_LISTED: Final = "CAT0103"


def lines_of(script: str) -> list[tuple[str, str]]:
    """Return a script's lines as names of state and message."""
    pairs = [line.split(":") for line in script.split(",") if line.strip()]
    return [(state.strip(), message.strip()) for state, message in pairs]


def negotiation_lines(dataset_id: str) -> list[NegotiationLine]:
    """Return what is said about a dataset."""
    script = {**PROVIDER_NEGOTIATIONS, **CONSUMER_NEGOTIATIONS}.get(dataset_id, "")
    return [
        NegotiationLine(negotiation.State[state], negotiation.Message[message])
        for state, message in lines_of(script)
    ]


def transfer_lines(agreement_id: str) -> list[TransferLine]:
    """Return what is said under an agreement."""
    script = {**PROVIDER_TRANSFERS, **CONSUMER_TRANSFERS}.get(agreement_id, "")
    return [
        TransferLine(transfer.State[state], transfer.Message[message])
        for state, message in lines_of(script)
    ]


def offer_id(dataset_id: str) -> str:
    """Return the offer under which our dataset is listed; the kit has some of them built in."""
    return f"CD123:{dataset_id}:456"
