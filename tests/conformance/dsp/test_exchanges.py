"""The exchanges of the official kit's tests, replayed by a counterparty of our own.

One line a test: ``>`` the peer says it, ``!`` it says it and has to be refused, ``<`` it
listens for it before it says what stands in front, ``~`` it listens only afterwards, ``=``
our connector shows this state. The connector is that of ``tests/tck``, in its own process.
This is not the kit: ``make tck`` runs that where Maven and Java are installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from databank.kit.clock import new_urn
from tests.support import dsp
from tests.support.contracts import message
from tests.support.dsp_peer import Awaited, Peer, acknowledged, listening
from tests.support.shared import is_shared
from tests.tck import scripts
from tests.tck.process import UnderTest, connector_under_test
from tests.tck.seeds import RULES

PAUSE_SECONDS: Final = 0.15
FORMAT: Final = "HttpData-PULL"
ADDRESS: Final = {
    "@type": "DataAddress",
    "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
    "endpoint": "http://example.com",
}

NEGOTIATIONS: Final = {
    "CN:01-01": ">request <offers >end =TERMINATED",
    "CN:01-02": ">request <offers >counter ~end",
    "CN:01-03": ">request <offers >accepted <agreement >verified <finalized",
    "CN:01-04": ">request <agreement >verified <finalized",
    "CN:02-01": ">request ~end",
    "CN:02-02": ">request >end =TERMINATED",
    "CN:02-03": ">request <agreement >end =TERMINATED",
    "CN:02-04": ">request <offers >end =TERMINATED",
    "CN:02-05": ">request <offers ~end",
    "CN:02-06": ">request <offers >accepted <end",
    "CN:02-07": ">request <agreement >verified <end",
    "CN:03-01": ">request <agreement >verified <finalized =FINALIZED !end",
    "CN:03-02": ">request <offers !verified",
    "CN:03-03": ">request <offers >accepted !verified",
    "CN:03-04": ">request <offers >counter !counter",
    "CN_C:01-01": ">begin <request >offers <accepted >agreement <verified >finalized =FINALIZED",
    "CN_C:01-02": ">begin <request >offers <counter >end =TERMINATED",
    "CN_C:01-03": ">begin <request >offers <end =TERMINATED",
    "CN_C:01-04": ">begin <request >agreement <verified >finalized =FINALIZED",
    "CN_C:02-01": ">begin <request >end =TERMINATED",
    "CN_C:02-02": ">begin <request ~end =TERMINATED",
    "CN_C:02-03": ">begin <request >agreement <end =TERMINATED",
    "CN_C:02-04": ">begin <request >offers =OFFERED >end =TERMINATED",
    "CN_C:02-05": ">begin <request >offers <accepted >end =TERMINATED",
    "CN_C:02-06": ">begin <request >agreement <verified >end =TERMINATED",
    "CN_C:03-01": ">begin <request !finalized =REQUESTED",
    "CN_C:03-02": ">begin <request >offers =OFFERED !agreement =OFFERED",
    "CN_C:03-03": ">begin <request >offers !finalized =OFFERED",
    "CN_C:03-04": ">begin <request >offers <accepted !finalized =ACCEPTED",
    "CN_C:03-05": ">begin <request >offers <accepted !offers =ACCEPTED",
    "CN_C:03-06": ">begin <request >offers <accepted >agreement !finalized =AGREED",
}
TRANSFERS: Final = {
    "TP:01-01": ">request <start ~end =TERMINATED",
    "TP:01-02": ">request <start ~complete =COMPLETED",
    "TP:01-03": ">request <start ~pause ~end =TERMINATED",
    "TP:01-04": ">request <start ~pause ~start ~complete =COMPLETED",
    "TP:01-05": ">request <end =TERMINATED",
    "TP:02-01": ">request <start =STARTED >end =TERMINATED",
    "TP:02-02": ">request <start =STARTED >complete =COMPLETED",
    "TP:02-03": ">request <start =STARTED >pause =SUSPENDED >end =TERMINATED",
    "TP:02-05": ">request =REQUESTED >end =TERMINATED",
    "TP:03-01": ">request =REQUESTED !complete =REQUESTED",
    "TP:03-02": ">request =REQUESTED !pause =REQUESTED",
    "TP:03-03": ">request <start =STARTED >pause =SUSPENDED !complete =SUSPENDED",
    "TP:03-04": ">request <start =STARTED >end =TERMINATED !restart =TERMINATED",
    "TP:03-05": ">request <start =STARTED >end =TERMINATED !pause =TERMINATED",
    "TP:03-06": ">request <start =STARTED >end =TERMINATED !complete =TERMINATED",
    "TP_C:01-01": ">begin <request >start =STARTED >end =TERMINATED",
    "TP_C:01-02": ">begin <request >start =STARTED >complete =COMPLETED",
    "TP_C:01-03": ">begin <request >start =STARTED >pause =SUSPENDED >end =TERMINATED",
    "TP_C:01-04": ">begin <request >start >pause =SUSPENDED >start =STARTED >complete =COMPLETED",
    "TP_C:01-05": ">begin <request >end =TERMINATED",
    "TP_C:02-01": ">begin <request >start <end =TERMINATED",
    "TP_C:02-02": ">begin <request >start <complete =COMPLETED",
    "TP_C:02-03": ">begin <request >start <pause ~end =TERMINATED",
    "TP_C:02-05": ">begin <request ~end =TERMINATED",
    "TP_C:03-01": ">begin <request =REQUESTED !complete =REQUESTED",
    "TP_C:03-02": ">begin <request =REQUESTED !pause =REQUESTED",
    "TP_C:03-03": ">begin <request >start =STARTED >pause =SUSPENDED !complete =SUSPENDED",
    "TP_C:03-04": ">begin <request >start =STARTED >end =TERMINATED !restart =TERMINATED",
    "TP_C:03-05": ">begin <request >start =STARTED >end =TERMINATED !pause =TERMINATED",
    "TP_C:03-06": ">begin <request >start =STARTED >end =TERMINATED !complete =TERMINATED",
}
# word: path behind /negotiations/{pid}/, type, fields beside the pids
SAID_IN_NEGOTIATIONS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "counter": ("request", "ContractRequestMessage", {}),
    "offers": ("offers", "ContractOfferMessage", {}),
    "accepted": ("events", "ContractNegotiationEventMessage", {"eventType": "ACCEPTED"}),
    "agreement": ("agreement", "ContractAgreementMessage", {}),
    "verified": ("agreement/verification", "ContractAgreementVerificationMessage", {}),
    "finalized": ("events", "ContractNegotiationEventMessage", {"eventType": "FINALIZED"}),
    "end": (
        "termination",
        "ContractNegotiationTerminationMessage",
        {"code": "1", "reason": [{"message": "test"}]},
    ),
}
SAID_IN_TRANSFERS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "start": ("start", "TransferStartMessage", {"dataAddress": ADDRESS}),
    "restart": ("start", "TransferStartMessage", {}),
    "pause": ("suspension", "TransferSuspensionMessage", {"code": "1"}),
    "complete": ("completion", "TransferCompletionMessage", {}),
    "end": ("termination", "TransferTerminationMessage", {"code": "1"}),
}


class Exchange:
    """One exchange; knows both pids as soon as they are said."""

    def __init__(self, peer: Peer, tested: UnderTest, feature: str, key: str) -> None:
        self._peer, self._tested, self._feature, self._key = peer, tested, feature, key
        self._is_negotiation = feature == "negotiations"
        self._said = SAID_IN_NEGOTIATIONS if self._is_negotiation else SAID_IN_TRANSFERS
        # The pid of our connector, and the peer's, which the peer makes.
        self._ours, self._theirs = "providerPid", "consumerPid"
        self._pids = {self._theirs: new_urn()}

    def play(self, script: str) -> None:
        """Go through the tokens of one line."""
        tokens = script.split()
        if tokens[0] == ">begin":
            self._ours, self._theirs = "consumerPid", "providerPid"
            self._pids = {self._theirs: new_urn()}
        ahead: Awaited | None = None
        for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
            mark, word = token[0], token[1:]
            if mark in "<~":
                body = (ahead or self._listen(word)).wait()
                self._heard(word, body)
                ahead = None
            elif mark == "=":
                assert self._peer.get(self._path(""))["state"] == word
            if following.startswith("<") and mark in ">!":
                ahead = self._listen(following[1:])
            if mark == ">":
                self._say(word)
            elif mark == "!":
                path, kind, fields = self._message(word)
                self._peer.say_wrongly(path, kind, **fields)
        assert self._peer.unexpected == []

    def _path(self, ending: str) -> str:
        return f"/{self._feature}/{self._pids[self._ours]}" + (f"/{ending}" if ending else "")

    def _listen(self, word: str) -> Awaited:
        answered = "ContractNegotiation" if self._is_negotiation else "TransferProcess"
        taken = acknowledged(answered, state="REQUESTED", **self._pids)
        if word == "request":
            return self._peer.listen(f"/{self._feature}/request", taken)
        path = f"/{self._feature}/{self._pids[self._theirs]}/{self._said[word][0]}"
        return self._peer.listen(path, taken if word == "counter" else None)

    def _heard(self, word: str, body: dict[str, Any]) -> None:
        if word == "request":
            self._pids["consumerPid"] = body["consumerPid"]
            assert body["callbackAddress"] == self._tested.dsp_url
            return
        _, kind, fields = self._said[word]
        assert body["@type"] == kind
        assert {n: body[n] for n in self._pids} == self._pids
        if "eventType" in fields:
            assert body["eventType"] == fields["eventType"]

    def _say(self, word: str) -> None:
        if word == "begin":
            self._begin()
        elif word == "request":
            self._request()
        else:
            path, kind, fields = self._message(word)
            self._peer.say(path, kind, **fields)

    def _begin(self) -> None:
        named = {"providerId": scripts.PEER, "connectorAddress": self._peer.url}
        what: dict[str, str] = (
            {"datasetId": self._key, "offerId": f"offer{self._key}"}
            if self._is_negotiation
            else {"agreementId": self._key, "format": FORMAT}
        )
        begun = self._peer.post(f"{self._tested.url}/tck/{self._feature}", {**named, **what})
        assert begun.is_success, begun.text

    def _request(self) -> None:
        fields: dict[str, Any] = {**self._pids, "callbackAddress": self._peer.url}
        if self._is_negotiation:
            kind, answered = "ContractRequestMessage", "ContractNegotiation"
            fields["offer"] = self._offer()
        else:
            kind, answered = "TransferRequestMessage", "TransferProcess"
            fields |= {"agreementId": self._key, "format": FORMAT}
        answer = self._peer.say(f"/{self._feature}/request", kind, **fields)
        assert (answer["@type"], answer["state"]) == (answered, "REQUESTED")
        assert answer["consumerPid"] == self._pids["consumerPid"]
        self._peer.received.append(answer)
        self._pids["providerPid"] = answer["providerPid"]

    def _offer(self) -> dict[str, Any]:
        is_consumer = self._ours == "providerPid"
        offer_id = scripts.offer_id(self._key) if is_consumer else f"offer{self._key}"
        return {**RULES, "@id": offer_id, "@type": "Offer", "target": self._key}

    def _message(self, word: str) -> tuple[str, str, dict[str, Any]]:
        ending, kind, extra = self._said[word]
        fields = {**self._pids, **extra}
        if word in {"counter", "offers"}:
            fields["offer"] = self._offer()
        if word == "agreement":
            fields["agreement"] = {
                **RULES,
                "@id": new_urn(),
                "@type": "Agreement",
                "target": self._key,
                "assigner": scripts.PEER,
                "assignee": self._tested.did,
                "timestamp": "2026-11-24T05:00:00.123456789Z",
            }
        return self._path(ending), kind, fields


def key_of(test: str, prefix: str) -> str:
    """Return the id that the kit's sample configuration gives a test: CN_C:01-02 -> ACNC0102."""
    suite, number = test.split(":")
    return prefix + ("C" if suite.endswith("_C") else "") + number.replace("-", "")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, UnderTest]]:
    folder = tmp_path_factory.mktemp("exchanges")
    with (
        listening() as (url, peers),
        connector_under_test(folder, peer_url=url, pause_seconds=PAUSE_SECONDS) as tested,
    ):
        peers.append(Peer(url, tested.dsp_url, scripts.AUTHORIZATION))
        yield peers[0], tested


@pytest.fixture
def peer(running: tuple[Peer, UnderTest]) -> Iterator[Peer]:
    """Return the counterparty, and look at everything that it received in the end."""
    running[0].reset()
    yield running[0]
    if is_shared("standards", "dsp-2025-1"):
        bad = [(said, dsp.errors(said)) for said in running[0].received if dsp.errors(said)]
        assert bad == []


@pytest.fixture
def tested(running: tuple[Peer, UnderTest]) -> UnderTest:
    return running[1]


@pytest.mark.parametrize("test", NEGOTIATIONS)
def test_negotiation(peer: Peer, tested: UnderTest, test: str) -> None:
    Exchange(peer, tested, "negotiations", key_of(test, "ACN")).play(NEGOTIATIONS[test])


@pytest.mark.parametrize("test", TRANSFERS)
def test_transfer(peer: Peer, tested: UnderTest, test: str) -> None:
    Exchange(peer, tested, "transfers", key_of(test, "ATP")).play(TRANSFERS[test])


def test_every_script_is_replayed() -> None:
    negotiated = {**scripts.PROVIDER_NEGOTIATIONS, **scripts.CONSUMER_NEGOTIATIONS}
    transferred = {**scripts.PROVIDER_TRANSFERS, **scripts.CONSUMER_TRANSFERS}
    assert {key_of(test, "ACN") for test in NEGOTIATIONS} == set(negotiated)
    assert {key_of(test, "ATP") for test in TRANSFERS} == set(transferred)
    # One test of the version document, three of the catalog.
    assert len(NEGOTIATIONS) + len(TRANSFERS) + 4 == 65


def test_the_version_document_names_our_version(tested: UnderTest, peer: Peer) -> None:
    """MET:01-01."""
    answer = peer.ask(f"{tested.url}/.well-known/dspace-version")
    [version] = [v for v in answer.json()["protocolVersions"] if v["version"] == "2025-1"]
    assert tested.url + version["path"] == tested.dsp_url
    assert version["binding"] == "HTTPS"


def test_the_catalog_shows_what_is_listed(peer: Peer) -> None:
    """CAT:01-01 to CAT:01-03."""
    answer = peer.post("/catalog/request", message("CatalogRequestMessage"))
    peer.received.append(answer.json())
    shown = {dataset["@id"] for dataset in answer.json()["dataset"]}
    assert set(scripts.LISTED) <= shown
    found = peer.get(f"/catalog/datasets/{scripts.LISTED[1]}")
    assert found["@id"] == scripts.LISTED[1]
    absent = peer.ask(f"/catalog/datasets/{scripts.NOT_LISTED}")
    assert (absent.status_code, absent.json()["@type"]) == (404, "CatalogError")
    peer.received.append(absent.json())
