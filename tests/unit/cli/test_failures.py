"""Errors are sentences in one's own language, without a validator's words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from databank.cli.failures import describe
from databank.kit.http import RemoteRefusedError
from schemas.ids import parse_brn
from schemas.management import Joining
from schemas.search import SearchAnswer


def _detail(error: Exception) -> tuple[str, str]:
    _, problem = describe(error)
    return str(problem["detail"]), str(problem["detail_en"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"handle": "한글"}, "hanbit_steel"),
        ({"name": ""}, "한빛제철"),
        ({"name": "a\u202eb"}, "한빛제철"),
        ({"brn": "1"}, "120-81-47521"),
    ],
)
def test_what_does_not_fit_is_told_with_an_example(change: dict[str, str], word: str) -> None:
    good = {"handle": "hanbit", "name": "한빛", "brn": "120-81-47521"}
    with pytest.raises(ValidationError) as local:
        Joining.model_validate(good | change)
    errors = [
        {"where": f"body.{each['loc'][0]}", "what": each["msg"]} for each in local.value.errors()
    ]
    problem = {"title": "요청 형식이 올바르지 않습니다", "errors": errors, "detail": "x"}
    remote = RemoteRefusedError(remote_status=422, problem=problem)
    for error in (local.value, remote):
        ko, en = _detail(error)
        assert word in ko
        assert not any(raw in ko + en for raw in ("String should", "^[a-z]", "Value error"))


@pytest.mark.parametrize(
    ("where", "what", "word"),
    [
        ("query.domain", "Input should be 'carbon' or 'process'", "--domain carbon"),
        ("body.name", "String should match pattern '^[a-z]'", "steel_energy"),
        ("body.odd", "String should match pattern '^[a-z]'", "odd: 쓸 수 없는 값"),
    ],
)
def test_a_services_field_errors_are_told_likewise(where: str, what: str, word: str) -> None:
    problem = {"title": "t", "detail": what, "errors": [{"where": where, "what": what}]}
    ko, en = _detail(RemoteRefusedError(remote_status=422, problem=problem))
    assert word in ko
    assert "^[" not in ko + en


@pytest.mark.parametrize("text", ["123", "1208147522"])
def test_a_wrong_business_number_is_a_problem_in_both_languages(text: str) -> None:
    with pytest.raises(ValueError, match="사업자등록번호") as error:
        parse_brn(text)
    _, problem = describe(error.value)
    assert problem["type"] == "urn:idb:problem:invalid-brn"
    assert "사업자등록번호" in str(problem["detail"])
    assert "business number" in str(problem["detail_en"])


def test_other_values_keep_their_field() -> None:
    with pytest.raises(ValidationError) as error:
        SearchAnswer.model_validate({"hits": 1})
    assert _detail(error.value)[0].startswith("hits: 쓸 수 없는 값입니다")
