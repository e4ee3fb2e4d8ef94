"""What a stock EDC 0.18 connector expects of its counterparty beyond the text, item by item.

The numbers are those of docs/conformance-edc.md. Here the EDC is a transport that answers
as EDC does, and messages written as EDC writes them; the connector is the product's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from structlog.testing import capture_logs

from broker.crawler.fetch import Fetched
from broker.crawler.service import read_listings
from connector.negotiation import service as negotiating
from connector.runtime import Deciders
from connector.side import Side
from databank.kit.clock import new_urn
from databank.kit.directory import Directory
from schemas.dcat import FORMAT_QUERY, FORMAT_READ
from schemas.dsp import transfer as wire
from schemas.dsp.message import CONTEXT
from schemas.dsp.version import version_document
from schemas.ids import DatasetId, OfferId
from schemas.management import NegotiateRequest
from schemas.participant import Participant
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.problem import RemoteUnavailableError
from schemas.terms import Terms
from tests.support.connectors import NOW, Registry, Running, connector, publish
from tests.support.contracts import call
from tests.support.simchecks import AGREEMENT
from tests.support.simcompany import transfer
from tests.support.simnode import Ground, Node
from tests.support.simulation import Template

EDC_CONTEXT: Final = "https://w3id.org/edc/dspace/v0.0.1"
EDC: Final = wire.EDC_NAMESPACE
OFFER_ID: Final = "ZGVmaW5pdGlvbg==:YXNzZXQtMQ==:MDAwMQ=="  # definition, asset, a number


@dataclass
class Edc(httpx.BaseTransport):
    """What our calls meet: new processes are answered 200, updates with an empty 200."""

    heard: list[httpx.Request] = field(default_factory=list)
    refusals: list[httpx.Response] = field(default_factory=list)
    state: str = "REQUESTED"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.heard.append(request)
        if request.method == "GET":
            return httpx.Response(200, json={"@type": "ContractNegotiation", "state": self.state})
        if self.refusals:
            return self.refusals.pop(0)
        body = json.loads(request.content)
        if "callbackAddress" not in body:
            return httpx.Response(200)
        kind = "ContractNegotiation" if "Contract" in body["@type"] else "TransferProcess"
        pids = {"consumerPid": body["consumerPid"], "providerPid": "edc-process"}
        answer = {
            "@context": [*CONTEXT, EDC_CONTEXT],
            "@type": kind,
            "@id": "x",
            "state": "REQUESTED",
        }
        return httpx.Response(200, json={**answer, **pids})

    def said(self) -> list[dict[str, Any]]:
        """Return the protocol's messages that came, oldest first."""
        return [json.loads(r.content) for r in self.heard if r.content and "/dsp/" in r.url.path]


@dataclass
class Meeting:
    """One of our connectors, and an EDC as the other side."""

    ours: Node
    theirs: Node
    edc: Edc
    template: Template

    def tell(self, path: str, kind: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Say something to us as EDC does: with an id of its own, and its context."""
        context = [*CONTEXT, EDC_CONTEXT]
        body = {"@context": context, "@type": kind, "@id": new_urn(), **fields}
        headers = self.theirs.runtime.client.authorization(self.ours.runtime.did)
        url = f"{self.ours.ground.url}/dsp/2025-1{path}"
        return self.ours.serve(httpx.Request("POST", url, json=body, headers=headers))

    def send(self) -> None:
        """Let us send what is due."""
        for queued in self.ours.due():
            self.ours.courier.settle(queued, self.ours.courier.attempt(queued))

    def row(self, table: str) -> dict[str, Any]:
        [row] = self.ours.rows(f"connector_{table}")
        return row

    def request(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        """Ask us for our offer as EDC's management API does it."""
        published = self.template.published
        offer = {
            **published.offer(),
            "target": published.dataset.id,
            "assigner": self.ours.runtime.did,
        }
        callback = f"{self.theirs.ground.url}/dsp/2025-1"
        fields = {"consumerPid": new_urn(), "callbackAddress": callback, "offer": offer, **changes}
        return self.tell("/negotiations/request", "ContractRequestMessage", **fields)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@contextmanager
def meeting(template: Template, folder: Path, side: Side) -> Iterator[Meeting]:
    edc = Edc()
    nodes = []
    for name in ("supplier", "buyer"):
        ground = Ground(
            name=name,
            folder=template.copy(name, folder),
            registry=template.registry,
            clock=lambda: NOW,
            make_id=new_urn,
            deciders=Deciders(),
            transport=edc,
            attempts_max=40,
        )
        nodes.append(Node(ground))
        nodes[-1].open()
    ours, theirs = nodes if side is Side.PROVIDER else reversed(nodes)
    yield Meeting(ours, theirs, edc, template)
    for node in nodes:
        node.close()


@pytest.fixture
def provider(template: Template, tmp_path: Path) -> Iterator[Meeting]:
    """We provide, EDC consumes."""
    with meeting(template, tmp_path / "provider", Side.PROVIDER) as met:
        yield met


@pytest.fixture
def consumer(template: Template, tmp_path: Path) -> Iterator[Meeting]:
    """We consume, EDC provides."""
    with meeting(template, tmp_path / "consumer", Side.CONSUMER) as met:
        yield met


def ask(met: Meeting, **changes: Any) -> str:
    """Ask EDC for its offer; return our pid."""
    published = met.template.published
    fields: dict[str, Any] = {
        "provider_id": met.theirs.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        **changes,
    }
    with met.ours.runtime.database.unit_of_work() as uow:
        url = f"{met.theirs.ground.url}/dsp/2025-1/"
        pid = negotiating.start(uow, met.ours.runtime, NegotiateRequest(**fields), peer_url=url).pid
    met.send()
    return str(pid)


def agree(met: Meeting, pid: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    """Send us EDC's agreement to our last offer."""
    offer = json.loads(met.row("negotiation")["offer_json"])
    agreement = {
        **offer,
        "@id": new_urn(),
        "@type": "Agreement",
        "assigner": met.theirs.runtime.did,
        "assignee": met.ours.runtime.did,
        "timestamp": "2026-11-24T05:00:00.123Z",
        **changes,
    }
    pids = {"consumerPid": pid, "providerPid": "edc-process"}
    path = f"/negotiations/{pid}/agreement"
    return met.tell(path, "ContractAgreementMessage", **pids, agreement=agreement)


def test_01_every_call_carries_an_authorization(consumer: Meeting) -> None:
    consumer.edc.refusals = [_refusal(400)]
    ask(consumer)
    transfer(consumer.ours, consumer.theirs)
    consumer.send()
    assert len(consumer.edc.heard) == 2
    for request in consumer.edc.heard:
        assert request.headers["Authorization"].startswith("Bearer ")


def test_02_catalog_and_agreement_name_us_as_our_tokens_do(provider: Meeting) -> None:
    provider.request()
    provider.send()
    [said] = provider.edc.said()
    assert said["agreement"]["assigner"] == provider.ours.runtime.did
    assert said["agreement"]["assignee"] == provider.theirs.runtime.did


def test_03_no_address_has_an_empty_segment(provider: Meeting, consumer: Meeting) -> None:
    callback = f"{provider.theirs.ground.url}/dsp/2025-1/"
    provider.request(callbackAddress=callback)
    provider.send()
    ask(consumer)
    for met in (provider, consumer):
        assert met.edc.heard
        assert all("//" not in request.url.path for request in met.edc.heard)
    assert not consumer.edc.said()[0]["callbackAddress"].endswith("/")


def query(**fields: Any) -> dict[str, Any]:
    """Return the catalog request that EDC sends."""
    spec = {"@type": "QuerySpec", "offset": 0, "limit": 50, "sortOrder": "ASC"}
    filters = [{**spec, "filterExpression": [], **fields}]
    context = [*CONTEXT, EDC_CONTEXT]
    return {"@context": context, "@type": "CatalogRequestMessage", "filter": filters}


def test_04_the_catalog_answers_edcs_query_part_by_part(tmp_path: Path) -> None:
    """EDC asks for parts until one is shorter than its limit: the same again would never end."""
    registry = Registry()
    with (
        connector(tmp_path / "s", registry, "supplier", catalog_page_size=2) as supplier,
        connector(tmp_path / "b", registry, "buyer") as buyer,
    ):
        ids = sorted(publish(supplier.runtime, f"d{n}").dataset.id for n in range(5))
        publish(supplier.runtime, "mine", terms=Terms(recipients=(supplier.runtime.did,)))
        assert parts(buyer, supplier, limit=2) == [ids[:2], ids[2:4], ids[4:], []]
        assert parts(buyer, supplier, limit=50) == [ids, [], [], []]
        for wrong in ({"filterExpression": [{"operandLeft": "a"}]}, {"offset": -1}, {"limit": "1"}):
            refused = call(buyer, supplier, "POST", "/catalog/request", json=query(**wrong))
            assert (refused.status_code, refused.json()["code"]) == (400, "unsupported-filter")


def parts(buyer: Running, supplier: Running, *, limit: int) -> list[list[str]]:
    found = []
    for number in range(4):
        asked = query(offset=number * limit, limit=limit)
        answer = call(buyer, supplier, "POST", "/catalog/request", json=asked)
        assert (answer.status_code, answer.json()["participantId"]) == (200, supplier.runtime.did)
        found.append([dataset["@id"] for dataset in answer.json().get("dataset", [])])
    return found


def test_05_offer_ids_go_back_as_they_came(consumer: Meeting) -> None:
    ask(consumer, offer_id=OfferId(OFFER_ID), dataset_id=DatasetId("asset-1"))
    [said] = consumer.edc.said()
    assert (said["offer"]["@id"], said["offer"]["target"]) == (OFFER_ID, "asset-1")


def test_06_both_sides_go_on_by_themselves(provider: Meeting, consumer: Meeting) -> None:
    _, answer = provider.request()
    provider.send()
    pids = {n: answer[n] for n in ("consumerPid", "providerPid")}
    path = f"/negotiations/{answer['providerPid']}/agreement/verification"
    provider.tell(path, "ContractAgreementVerificationMessage", **pids)
    provider.send()
    said = [body.get("eventType") or body["@type"] for body in provider.edc.said()]
    assert said == ["ContractAgreementMessage", "FINALIZED"]

    pid = ask(consumer)
    pids = {"consumerPid": pid, "providerPid": "edc-process"}
    offer = json.loads(consumer.row("negotiation")["offer_json"])
    consumer.tell(f"/negotiations/{pid}/offers", "ContractOfferMessage", **pids, offer=offer)
    consumer.send()
    agree(consumer, pid)
    consumer.send()
    said = [body.get("eventType") or body["@type"] for body in consumer.edc.said()]
    verified = "ContractAgreementVerificationMessage"
    assert said == ["ContractRequestMessage", "ACCEPTED", verified]


def test_07_the_agreement_is_the_offer_word_for_word(provider: Meeting) -> None:
    """EDC compares order, constraints, profile and what it does not know."""
    published = provider.template.published
    offer = {
        **published.offer(),
        "target": published.dataset.id,
        "assigner": provider.ours.runtime.did,
    }
    provider.request(offer=offer)
    provider.send()
    agreement = provider.edc.said()[0]["agreement"]
    changed = {"@id", "@type", "target", "assigner", "assignee", "timestamp"}
    kept = {name: value for name, value in offer.items() if name not in changed}
    assert kept
    assert json.dumps({n: agreement[n] for n in kept}) == json.dumps(kept)
    assert set(agreement) == set(kept) | changed


def _refusal(status: int) -> httpx.Response:
    """Return EDC's error: it names no pids, which the schema wants."""
    body = {"@context": list(CONTEXT), "@type": "ContractNegotiationError", "code": str(status)}
    return httpx.Response(status, json={**body, "reason": ["no"]})


@pytest.mark.parametrize("status", [400, 409])
def test_08_edcs_refusal_is_its_last_word(consumer: Meeting, status: int) -> None:
    pid = ask(consumer)
    assert agree(consumer, pid)[0] == 200
    consumer.edc.refusals, consumer.edc.state = [_refusal(status)], "AGREED"
    consumer.send()
    assert consumer.row("negotiation")["state"] == "TERMINATED"
    consumer.send()
    assert consumer.edc.said()[-1]["@type"] == "ContractNegotiationTerminationMessage"


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_08_what_passes_is_tried_again(consumer: Meeting, status: int) -> None:
    consumer.edc.refusals = [httpx.Response(status)]
    ask(consumer)
    assert consumer.row("negotiation")["state"] == "REQUESTED"
    assert consumer.row("outbox")["attempts_count"] == 1


def test_08_what_we_cannot_check_now_is_no_refusal(
    provider: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 4xx would end EDC's process: while the registry is away we answer 5xx."""

    def away(*_: object) -> Participant | None:
        raise RemoteUnavailableError(ko="없음", en="away", retryable=True)

    monkeypatch.setattr(Directory, "find", away)
    status, _ = provider.request()
    assert status == 503


def test_09_new_processes_may_be_answered_200_and_updates_with_nothing(consumer: Meeting) -> None:
    pid = ask(consumer)
    assert consumer.row("negotiation")["provider_pid"] == "edc-process"
    agree(consumer, pid)
    consumer.send()
    assert consumer.ours.rows("connector_outbox") == []
    assert consumer.row("negotiation")["state"] == "VERIFIED"


def test_10_ids_in_messages_and_acknowledgements_are_no_obstacle(provider: Meeting) -> None:
    status, answer = provider.request()
    assert (status, answer["state"]) == (201, "REQUESTED")
    provider.send()
    assert all(body["@id"] for body in provider.edc.said())


def edc_address(prefix: str) -> dict[str, Any]:
    """Return a data address as EDC writes it: everything in properties."""
    values = {
        EDC + "endpoint": "http://supplier.test/public",
        f"{prefix}authorization": "the-token",
        f"{prefix}authType": "bearer",
    }
    listed = [{"@type": "EndpointProperty", "name": n, "value": v} for n, v in values.items()]
    kind = {"@type": "DataAddress", "endpointType": wire.ENDPOINT_TYPE}
    return {**kind, "endpointProperties": listed}


@pytest.mark.parametrize("prefix", ["", EDC])
def test_11_edcs_data_address_is_read(consumer: Meeting, prefix: str) -> None:
    pid = transfer(consumer.ours, consumer.theirs)
    consumer.send()
    pids = {"consumerPid": pid, "providerPid": "edc-process"}
    status, _ = consumer.tell(
        f"/transfers/{pid}/start", "TransferStartMessage", **pids, dataAddress=edc_address(prefix)
    )
    assert status == 200
    stored = wire.DataAddress.model_validate_json(consumer.row("transfer")["data_address_json"])
    assert stored.value("endpoint") == "http://supplier.test/public"
    assert stored.value("authorization") == "the-token"


def test_11_our_data_address_says_its_endpoint_where_edc_looks(provider: Meeting) -> None:
    callback = f"{provider.theirs.ground.url}/dsp/2025-1"
    status, answer = provider.tell(
        "/transfers/request",
        "TransferRequestMessage",
        consumerPid=new_urn(),
        agreementId=AGREEMENT,
        format="HttpData-PULL",
        callbackAddress=callback,
    )
    assert status == 201, answer
    provider.send()
    address = provider.edc.said()[0]["dataAddress"]
    values = {p["name"]: p["value"] for p in address["endpointProperties"]}
    assert values[EDC + "endpoint"] == address["endpoint"]
    assert values["authType"] == "bearer"
    assert values["authorization"]


def test_12_right_operands_are_texts_or_lists_of_them(provider: Meeting) -> None:
    plan = PricePlan(components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=7_000_000),))
    terms = Terms(valid_until=NOW)
    offer = publish(provider.ours.runtime, "priced", plan=plan, terms=terms).offer()
    operands = list(values_of(offer, "rightOperand"))
    texts = [t for o in operands for t in (o if isinstance(o, list) else [o])]
    assert len(texts) > 1
    assert all(isinstance(text, str) for text in texts)


def values_of(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name:
                yield inner
            yield from values_of(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from values_of(inner, name)


def without_distributions(dataset: dict[str, Any], distributions: Any) -> dict[str, Any]:
    """Return a dataset as EDC lists it whose data plane has not registered itself yet."""
    rest = {name: value for name, value in dataset.items() if name != "distribution"}
    return rest if distributions is None else {**rest, "distribution": distributions}


def test_13_every_dataset_can_be_pulled_without_anything_registered(tmp_path: Path) -> None:
    """Ours have their distributions from the start; one of an EDC without is not listed."""
    registry = Registry()
    with (
        connector(tmp_path / "s", registry, "supplier") as supplier,
        connector(tmp_path / "b", registry, "buyer") as buyer,
    ):
        for name in ("first", "second"):
            publish(supplier.runtime, name)
        catalog = call(buyer, supplier, "POST", "/catalog/request", json=query()).json()
        owner = registry.find(supplier.runtime.did)
    assert owner is not None
    services = {service["@id"]: service["endpointURL"] for service in catalog["service"]}
    for dataset in catalog["dataset"]:
        assert {d["format"] for d in dataset["distribution"]} == {FORMAT_QUERY, FORMAT_READ}
        assert all(d["accessService"] in services for d in dataset["distribution"])
    whole, other = catalog["dataset"]
    push = [{"@type": "Distribution", "format": "HttpData-PUSH", "accessService": "s"}]
    for distributions in (None, [], push, ["?"], "?"):
        listed = (without_distributions(other, distributions), whole)
        listings, rejections = read_listings(owner, Fetched(listed, None))
        assert [listing.dataset.id for listing in listings] == [whole["@id"]]
        [rejection] = rejections
        assert rejection.dataset_id == other["@id"]
        assert "distribution" in rejection.reason


def test_14_a_pull_is_asked_for_when_edcs_data_plane_is_ready(provider: Meeting) -> None:
    """EDC's consumer prepares its data plane first, asks then, and asks again after a 5xx."""
    provider.request()
    provider.send()
    fields = {
        "consumerPid": new_urn(),
        "agreementId": AGREEMENT,
        "format": "HttpData-PULL",
        "callbackAddress": f"{provider.theirs.ground.url}/dsp/2025-1",
    }
    kind = "TransferRequestMessage"
    address = edc_address("")
    status, refused = provider.tell("/transfers/request", kind, **fields, dataAddress=address)
    assert (status, refused["code"]) == (400, "unsupported-format"), "a push is refused for good"
    assert provider.ours.rows("connector_transfer") == []
    answers = [provider.tell("/transfers/request", kind, **fields) for _ in range(2)]
    assert [status for status, _ in answers] == [201, 201]
    assert len({answer["providerPid"] for _, answer in answers}) == 1
    provider.send()
    starts = [m for m in provider.edc.said() if m["@type"] == "TransferStartMessage"]
    assert [start["consumerPid"] for start in starts] == [fields["consumerPid"]]
    pids = {name: starts[0][name] for name in ("consumerPid", "providerPid")}
    path = f"/transfers/{pids['providerPid']}/termination"
    status, _ = provider.tell(path, "TransferTerminationMessage", **pids, reason=["no data plane"])
    assert status == 200
    assert provider.row("transfer")["state"] == "TERMINATED"
    assert provider.row("transfer")["secret_sha256"] is None


def test_15_the_binding_is_https_whatever_the_scheme() -> None:
    [entry] = version_document("/dsp/2025-1")["protocolVersions"]
    assert (entry["binding"], entry["path"]) == ("HTTPS", "/dsp/2025-1")
