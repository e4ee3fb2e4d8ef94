"""Values that do not fit, in sentences with an example instead of a validator's words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from schemas.wire import Text

_SENTENCES: Final = {
    "handle": Text(
        ko="SQL에 쓸 회사 이름(--handle)은 영문 소문자로 시작하는 2~31자이며 영문 소문자, 숫자, "
        "_만 씁니다. 예: hanbit_steel",
        en="The company's name in SQL (--handle) begins with a lower-case letter and has 2 to 31 "
        "lower-case letters, digits and _, for example hanbit_steel.",
    ),
    "name": Text(
        ko="회사 이름(--name)은 한 줄 1~100자입니다. 예: 한빛제철",
        en="The company's name (--name) is one line of 1 to 100 characters, for example Hanbit.",
    ),
    "dataset name": Text(
        ko="SQL에 쓸 데이터셋 이름(--name)은 영문 소문자로 시작하는 63자까지이며 영문 소문자, "
        "숫자, _만 씁니다. 예: steel_energy",
        en="The dataset's name in SQL (--name) begins with a lower-case letter and has at most 63 "
        "lower-case letters, digits and _, for example steel_energy.",
    ),
    "brn": Text(
        ko="사업자등록번호(--brn)는 검증 숫자가 맞는 10자리입니다. 예: 120-81-47521",
        en="The business number (--brn) has ten digits and a right check digit, for example "
        "120-81-47521.",
    ),
    "domain": Text(
        ko="분야(--domain)는 carbon, process, supply-chain 가운데 하나입니다. 예: --domain carbon",
        en="The domain (--domain) is one of carbon, process, supply-chain, for example "
        "--domain carbon.",
    ),
    "industry": Text(
        ko="업종(--industry)은 battery, automotive-parts, home-appliances, steel-aluminium, "
        "textiles, other 가운데 하나입니다. 예: --industry battery",
        en="The industry (--industry) is one of battery, automotive-parts, home-appliances, "
        "steel-aluminium, textiles, other, for example --industry battery.",
    ),
    "period": Text(
        ko="기간은 연도와 달입니다. 예: 2026-11", en="A period is a month, for example 2026-11."
    ),
}
_PLACES: Final = frozenset({"body", "query", "path", "header"})


def explain(field: str, said: str) -> Text:
    """Return what is wrong with a field; ``said`` are the validator's words, in English."""
    name = field.rpartition(".")[2]
    if name == "name" and "pattern" in said:  # only a dataset's name has one
        name = "dataset name"
    known = _SENTENCES.get(name)
    if known is not None:
        return known
    words = said.removeprefix("Value error, ").partition(" '^")[0]  # no regular expression
    return Text(ko=f"{field}: 쓸 수 없는 값입니다 ({words}).", en=f"{field}: {words}.")


def explain_problem(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a service's problem; one that lists wrong fields gets our sentences as detail."""
    errors = problem.get("errors")
    if not isinstance(errors, list) or not all(isinstance(each, dict) for each in errors):
        return problem
    pairs = ((str(each.get("where", "")), str(each.get("what", ""))) for each in errors)
    texts = [explain(_without_place(where), what) for where, what in pairs]
    return problem | joined(texts) if texts else problem


def joined(texts: Iterable[Text]) -> dict[str, str]:
    """Return sentences as a detail in both languages; one that comes twice is said once."""
    distinct = list(dict.fromkeys((text.ko, text.en) for text in texts))
    return {
        "detail": " ".join(ko for ko, _ in distinct),
        "detail_en": " ".join(en for _, en in distinct),
    }


def _without_place(where: str) -> str:
    place, _, rest = where.partition(".")
    return rest if place in _PLACES and rest else where
