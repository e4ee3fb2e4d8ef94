from __future__ import annotations

import pytest

from schemas.ids import ParticipantId, did_web, did_web_document_url, format_brn, parse_brn


@pytest.mark.parametrize(
    ("url", "did", "document"),
    [
        (
            "https://hanbit.example",
            "did:web:hanbit.example",
            "https://hanbit.example/.well-known/did.json",
        ),
        (
            "http://localhost:8401/",
            "did:web:localhost%3A8401",
            "https://localhost:8401/.well-known/did.json",
        ),
        (
            "https://a.example:8443/b/c",
            "did:web:a.example%3A8443:b:c",
            "https://a.example:8443/b/c/did.json",
        ),
    ],
)
def test_a_did_follows_from_the_url_and_leads_back(url: str, did: str, document: str) -> None:
    assert did_web(url) == did
    assert did_web_document_url(ParticipantId(did)) == document


@pytest.mark.parametrize("url", ["ftp://a.example", "https://", "localhost:8401", ""])
def test_other_urls_have_no_did(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        did_web(url)


@pytest.mark.parametrize("text", ["120-81-47521", "220-81-62517", "1248100998"])
def test_real_business_numbers_pass(text: str) -> None:
    digits = parse_brn(text)
    assert parse_brn(format_brn(digits)) == digits


@pytest.mark.parametrize(
    "text", ["123-45-67890", "1208147522", "120814752", "12081475211", "１２０８１４７５２１"]
)
def test_wrong_check_digits_lengths_and_scripts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="사업자등록번호"):
        parse_brn(text)


def test_every_single_digit_error_is_caught() -> None:
    good = "1208147521"
    for place in range(10):
        for digit in "0123456789":
            wrong = good[:place] + digit + good[place + 1 :]
            if wrong != good and place != 8:  # the ninth digit counts twice and may collide
                with pytest.raises(ValueError, match="검증"):
                    parse_brn(wrong)
