"""Our message models against the official schemas and examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connector.dsp.edge import DspError, ErrorType, Process
from connector.side import Side
from schemas.dsp import catalog, message, negotiation, transfer
from schemas.dsp.parse import parse_message
from schemas.dsp.version import version_document
from tests.support import dsp

Model = type[message.Message]
MODELS: Final[dict[str, Model]] = {
    "CatalogRequestMessage": catalog.CatalogRequestMessage,
    "Catalog": catalog.Catalog,
    "CatalogError": message.ErrorMessage,
    "ContractRequestMessage": negotiation.ContractRequestMessage,
    "ContractOfferMessage": negotiation.ContractOfferMessage,
    "ContractAgreementMessage": negotiation.ContractAgreementMessage,
    "ContractAgreementVerificationMessage": negotiation.ContractAgreementVerificationMessage,
    "ContractNegotiationEventMessage": negotiation.ContractNegotiationEventMessage,
    "ContractNegotiationTerminationMessage": negotiation.ContractNegotiationTerminationMessage,
    "ContractNegotiation": negotiation.ContractNegotiation,
    "ContractNegotiationError": message.ErrorMessage,
    "TransferRequestMessage": transfer.TransferRequestMessage,
    "TransferStartMessage": transfer.TransferStartMessage,
    "TransferCompletionMessage": transfer.TransferCompletionMessage,
    "TransferSuspensionMessage": transfer.TransferSuspensionMessage,
    "TransferTerminationMessage": transfer.TransferTerminationMessage,
    "TransferProcess": transfer.TransferProcessMessage,
    "TransferError": message.ErrorMessage,
}
# Read by nobody here: a request without an HTTP binding, and a part of the catalog.
NOT_MODELLED: Final = {"DatasetRequestMessage", "Dataset"}
NEVER_RECEIVED: Final = {"Catalog", "CatalogError", "ContractNegotiationError", "TransferError"}


def all_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    for feature in ("catalog", "negotiation", "transfer"):
        yield from dsp.examples(feature).items()


def test_every_official_example_is_read_and_written_back_unchanged() -> None:
    read = 0
    for name, example in all_examples():
        assert dsp.errors(example) == [], name
        if example["@type"] in NOT_MODELLED:
            continue
        message = parse_message(json.dumps(example).encode())
        assert MODELS[example["@type"]].from_wire(message).to_json() == example, name
        read += 1
    assert read == 22  # 24 examples with a type, two of them not modelled


def test_every_type_of_the_examples_has_a_model() -> None:
    seen = {example["@type"] for _, example in all_examples()}
    assert seen == set(MODELS) | NOT_MODELLED


def required_fields(example: dict[str, Any]) -> list[str]:
    """Return the fields of an example that the official schema does not let anyone leave out."""
    kind = example["@type"]
    return [n for n in example if dsp.errors({k: v for k, v in example.items() if k != n}, kind)]


def is_read(kind: str, raw: dict[str, Any]) -> bool:
    try:
        MODELS[kind].from_wire(raw)
    except ValidationError:
        return False
    return True


def received() -> list[tuple[str, dict[str, Any]]]:
    """Return the examples of messages that counterparties send to us."""
    return [(n, e) for n, e in all_examples() if e["@type"] in MODELS.keys() - NEVER_RECEIVED]


def test_what_the_schema_requires_we_require() -> None:
    cases = [(n, e, field) for n, e in received() for field in required_fields(e)]
    assert len(cases) > 40
    missed = [
        (name, field)
        for name, example, field in cases
        if is_read(example["@type"], {k: v for k, v in example.items() if k != field})
    ]
    assert missed == []


junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just([]), st.just({}), st.just(""), st.text()
)


@given(st.data())
def test_what_we_accept_the_schema_accepts(data: st.DataObject) -> None:
    """Replace one field by anything: whoever passes our model passes the official schema."""
    example = data.draw(st.sampled_from([e for _, e in received()]))
    field = data.draw(st.sampled_from(sorted(example)))
    changed = {**example, field: data.draw(junk)}
    try:
        MODELS[example["@type"]].from_wire(changed)
    except ValidationError:
        return
    said = {k: v for k, v in changed.items() if v is not None}
    assert dsp.errors(said, example["@type"]) == []


@pytest.mark.parametrize(
    ("error_type", "side"),
    [(ErrorType.NEGOTIATION, Side.PROVIDER), (ErrorType.TRANSFER, Side.CONSUMER)],
)
def test_our_errors_are_valid(error_type: ErrorType, side: Side) -> None:
    process = Process(error_type, side, "urn:uuid:1")
    assert dsp.errors(process.not_found().body) == []


def test_our_catalog_errors_are_valid() -> None:
    assert dsp.errors(DspError(ErrorType.CATALOG, 400, code="a", reason="b").body) == []


def test_the_version_document_is_valid() -> None:
    schema = dsp.validator(dsp.PREFIX + "common/protocol-version-schema.json")
    assert [e.message for e in schema.iter_errors(version_document("/dsp/2025-1"))] == []


def test_an_address_is_found_where_edc_puts_it_too() -> None:
    address = transfer.bearer_address("http://localhost/data/1", "secret")
    wire = address.to_json()
    hidden = transfer.DataAddress.model_validate({k: v for k, v in wire.items() if k != "endpoint"})
    assert hidden.value("endpoint") == address.value("endpoint") == "http://localhost/data/1"
    assert hidden.value("authorization") == "secret"
    assert hidden.value("absent") is None
