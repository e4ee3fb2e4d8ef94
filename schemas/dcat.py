"""A dataset as DSP 2025-1 catalogs carry it: DCAT terms, and ours under full IRIs.

The DSP context defines the prefixes ``dct`` and ``dcat``; whatever DCAT has no word for
stands under ``urn:idb:dataset:1`` as one JSON object that foreign connectors keep or drop.
"""

from __future__ import annotations

import json
from typing import Any, Final

from schemas.approval import Approval
from schemas.dataset import Dataset, Listing
from schemas.ids import OfferId, ParticipantId
from schemas.terms import UnknownTermError, from_policy

DETAILS: Final = "urn:idb:dataset:1"
APPROVAL: Final = "urn:idb:approval:1"
FORMAT_READ: Final = "HttpData-PULL"  # the Arrow IPC file, by byte range
FORMAT_QUERY: Final = "urn:idb:format:1:sql"  # SQL in, Arrow IPC stream out
ARROW_MEDIA_TYPE: Final = "application/vnd.apache.arrow.file"


class NotOurDatasetError(ValueError):
    """A catalog's dataset that is not described the way the data bank does."""


def dataset_to_wire(
    dataset: Dataset,
    *,
    offer: dict[str, Any],
    service_id: str,
    approval: Approval = Approval.AUTOMATIC,
) -> dict[str, Any]:
    """Return a DSP ``Dataset`` without context.

    Args:
        dataset: What is published.
        offer: The ODRL offer: ``@id``, ``@type`` and rules, no target.
        service_id: The ``@id`` of the connector's DataService.
        approval: How requests for it are answered.
    """
    details = dataset.to_json()
    described = _described(
        dataset.id,
        title=details["title"],
        description=details["description"],
        keywords=list(dataset.keywords),
        offer=offer,
        service_id=service_id,
        approval=approval,
    )
    return {**described, DETAILS: details}


def dataset_text(
    dataset_json: str, *, offer: dict[str, Any], service_id: str, approval: Approval
) -> str:
    """Return what ``dataset_to_wire`` does, as JSON, from a dataset as JSON and without checks."""
    dataset = json.loads(dataset_json)
    head = json.dumps(
        _described(
            dataset["id"],
            title=dataset["title"],
            description=dataset["description"],
            keywords=dataset.get("keywords", []),
            offer=offer,
            service_id=service_id,
            approval=approval,
        ),
        ensure_ascii=False,
    )
    return f'{head[:-1]}, "{DETAILS}": {dataset_json}}}'


def _described(
    dataset_id: str,
    *,
    title: dict[str, str],
    description: dict[str, str],
    keywords: list[str],
    offer: dict[str, Any],
    service_id: str,
    approval: Approval,
) -> dict[str, Any]:
    return {
        "@id": dataset_id,
        "@type": "Dataset",
        "hasPolicy": [offer],
        "distribution": [
            {"@type": "Distribution", "format": form, "accessService": service_id}
            for form in (FORMAT_QUERY, FORMAT_READ)
        ],
        "dct:title": _in_both(title),
        "dct:description": _in_both(description),
        "dcat:keyword": keywords,
        APPROVAL: approval.value,
    }


def _in_both(said: dict[str, str]) -> list[dict[str, str]]:
    return [{"@language": language, "@value": said[language]} for language in ("ko", "en")]


def listing_from_wire(
    wire: dict[str, Any],
    *,
    provider_id: ParticipantId,
    provider_name: str,
    provider_handle: str,
    dsp_url: str,
) -> Listing:
    """Read one dataset of a participant's catalog; its first offer counts.

    Raises:
        NotOurDatasetError: Details or offer are missing, malformed or contradict each other.
    """
    try:
        _check_texts(wire)
        dataset = Dataset.model_validate(wire[DETAILS])
        policy = wire["hasPolicy"][0]
        if not isinstance(policy, dict):
            raise NotOurDatasetError("the offer is not an object")
        _, plan = from_policy(policy)
        _check_distributions(wire)
        if dataset.id != wire["@id"]:
            raise NotOurDatasetError("the details are of another dataset")
        return Listing(
            dataset=dataset,
            provider_id=provider_id,
            provider_name=provider_name,
            provider_handle=provider_handle,
            dsp_url=dsp_url,
            offer_id=OfferId(policy["@id"]),
            policy=policy,
            plan=plan,
            approval=Approval(wire.get(APPROVAL, Approval.AUTOMATIC)),
        )
    except KeyError as error:
        raise NotOurDatasetError(f"{error} is missing") from None
    except (IndexError, TypeError, ValueError, RecursionError, UnknownTermError) as error:
        raise NotOurDatasetError(str(error)) from None


def _check_distributions(wire: dict[str, Any]) -> None:
    """Refuse what nobody can pull; DSP 2025-1 wants a distribution, EDC lists some without."""
    found = wire["distribution"]
    if not isinstance(found, list):
        raise NotOurDatasetError("the distributions are not a list")
    formats = [one.get("format") for one in found if isinstance(one, dict)]
    if not any(form in {FORMAT_QUERY, FORMAT_READ} for form in formats if isinstance(form, str)):
        raise NotOurDatasetError("no distribution has a format that can be pulled")


def _check_texts(value: object) -> None:
    """Refuse texts that databases and pages cannot hold: NUL and lone surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise NotOurDatasetError("a text holds NUL or half a character")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)
