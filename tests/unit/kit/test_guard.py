from __future__ import annotations

import json

import pytest

from databank.kit.guard import is_callable, is_public
from tests.support.shared import shared


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "not an address",
    ],
)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_one_inner_address_among_the_answers_is_enough_to_refuse() -> None:
    def resolve(_: str, __: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    assert not is_callable("https://rebound.example", resolve=resolve)


def test_no_address_of_the_corpus_gets_through() -> None:
    """Hosts resolve as the C library resolves them; the corpus says which must be refused."""
    lines = shared("security", "ssrf_corpus.tsv").read_text(encoding="utf-8").splitlines()
    through: list[str] = []
    for line in lines:
        verdict, quoted, _, _, resolves = (line.split("\t") + [""] * 5)[:5]
        addresses = [a for a in resolves.removeprefix("resolves=").split(",") if a]
        url = json.loads(quoted)

        def resolve(host: str, _: int, found: list[str] = addresses) -> list[str]:
            return found or [host.strip("[]")]

        if is_callable(url, resolve=resolve):
            through += [url] if verdict != "allow" else []
    assert through == []
    assert len(lines) > 50
