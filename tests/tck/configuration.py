"""What the kit is told: where our connector is, and the ids that its tests use."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from schemas.dcat import FORMAT_READ
from tests.tck.process import UnderTest
from tests.tck.scripts import (
    AUTHORIZATION,
    CONSUMER_NEGOTIATIONS,
    CONSUMER_TRANSFERS,
    LISTED,
    NOT_LISTED,
    PROVIDER_NEGOTIATIONS,
    PROVIDER_TRANSFERS,
    offer_id,
)

WAIT_SECONDS: Final = 15


def properties(under_test: UnderTest, *, kit_url: str) -> dict[str, str]:
    """Return the kit's configuration; the kit listens at ``kit_url``."""
    kit, connector = "dataspacetck", "dataspacetck.dsp.connector"
    return {
        f"{kit}.ansi": "false",
        f"{kit}.host": "127.0.0.1",
        f"{kit}.port": str(urlsplit(kit_url).port),
        f"{kit}.callback.address": kit_url,
        f"{kit}.dsp.local.connector": "false",
        f"{kit}.dsp.default.wait": str(WAIT_SECONDS),
        f"{connector}.agent.id": under_test.did,
        f"{connector}.http.url": under_test.dsp_url,
        f"{connector}.http.base.url": under_test.url,
        f"{connector}.http.headers.authorization": AUTHORIZATION,
        f"{connector}.negotiation.initiate.url": f"{under_test.url}/tck/negotiations",
        f"{connector}.transfer.initiate.url": f"{under_test.url}/tck/transfers",
        **_ids(),
    }


def _ids() -> dict[str, str]:
    found = {f"{_test('CAT', n)}_DATASETID": n for n in (*LISTED, NOT_LISTED)}
    for dataset_id in PROVIDER_NEGOTIATIONS:
        found[f"{_test('ACN', dataset_id)}_DATASETID"] = dataset_id
        found[f"{_test('ACN', dataset_id)}_OFFERID"] = offer_id(dataset_id)
    for dataset_id in CONSUMER_NEGOTIATIONS:
        found[f"{_test('ACN', dataset_id)}_DATASETID"] = dataset_id
    for agreement_id in (*PROVIDER_TRANSFERS, *CONSUMER_TRANSFERS):
        found[f"{_test('ATP', agreement_id)}_AGREEMENTID"] = agreement_id
        found[f"{_test('ATP', agreement_id)}_FORMAT"] = FORMAT_READ
    return found


def _test(prefix: str, key: str) -> str:
    """Return the kit's name of the test that an id belongs to: ACNC0102 -> CN_C_01_02."""
    role, number = key[len(prefix) : -4], key[-4:]
    suite = prefix.removeprefix("A") if prefix != "CAT" else prefix
    return "_".join(part for part in (suite, role, number[:2], number[2:]) if part)


def to_text(values: dict[str, str]) -> str:
    """Write Java properties."""
    return "".join(f"{name}={value}\n" for name, value in values.items())
