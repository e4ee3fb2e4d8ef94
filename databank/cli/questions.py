"""What publishing asks for: at a terminal by question, else by option, with defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from databank.cli.surface import Surface
from databank.client.api import Api
from schemas.dataset import Domain, Industry
from schemas.management import PublishRequest, UploadReport
from schemas.money import parse_won
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.problem import ConflictError, InvalidRequestError
from schemas.terms import Terms
from schemas.wire import Text

PRICE_WORDS: Final = {
    "once": PriceKind.ONE_OFF,
    "month": PriceKind.MONTHLY,
    "query": PriceKind.PER_QUERY,
    "row": PriceKind.PER_ROW,
    "mb": PriceKind.PER_MEGABYTE,
}
_DOMAIN_HINTS: Final = {
    Domain.CARBON: r"carbon|co2|탄소|emission|pcf|배출",
    Domain.SUPPLY_CHAIN: r"suppl|ship|deliver|vendor|공급|납품|배송|물류",
}


class UndecidedRowsError(ConflictError):
    """The file holds rows that do not fit, and nobody said to leave them out."""

    slug = "undecided-rows"
    title = Text(ko="맞지 않는 행을 뺄지 정해야 합니다", en="Leave the bad rows out?")


class BadAnswerError(InvalidRequestError):
    """An option or an answer is not one of the choices."""

    slug = "bad-answer"
    title = Text(ko="고를 수 없는 값입니다", en="Not one of the choices")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the options said."""

    name: str | None
    title: str | None
    title_en: str | None
    description: str | None
    domain: str | None
    industry: str | None
    keywords: list[str] | None
    template: str | None
    prices: list[str] | None


def ask(
    given: Answers,
    report: UploadReport,
    management: Api,
    surface: Surface,
    *,
    file: Path,
    may_ask: bool,
) -> PublishRequest:
    """Return a complete request; options win, then answers, then defaults.

    Raises:
        BadAnswerError: A value is not one of the choices.
    """

    def choose(value: str | None, ko: str, en: str, default: str) -> str:
        if value is not None or not may_ask:
            return default if value is None else value
        return str(typer.prompt(surface.say(ko, en), default=default))

    name = choose(given.name, "SQL에 쓸 이름", "Name in SQL", default_name(file))
    title = choose(given.title, "제목", "Title", file.stem)
    domain = choose(
        given.domain,
        f"분야 ({', '.join(Domain)})",
        f"Domain ({', '.join(Domain)})",
        default_domain(report, file).value,
    )
    industry = choose(
        given.industry,
        f"업종 ({', '.join(Industry)})",
        f"Industry ({', '.join(Industry)})",
        Industry.OTHER.value,
    )
    terms = _terms(given, management, surface, may_ask=may_ask)
    price = " ".join(given.prices) if given.prices else None
    price = choose(
        price,
        "요금(원): free, once=, month=, query=, row=, mb=",
        "Price in won: free, once=, month=, query=, row=, mb=",
        "query=100",
    )
    description = given.description or title
    return PublishRequest(
        upload_id=report.upload_id,
        name=name,
        title=Text(ko=title, en=given.title_en or title),
        description=Text(ko=description, en=description),
        domain=_choice(Domain, domain),
        industry=_choice(Industry, industry),
        keywords=tuple(given.keywords or ()),
        terms=terms,
        plan=parse_price(price),
    )


def _choice(kind: Any, value: str) -> Any:  # noqa: ANN401 - a StrEnum class and its member
    try:
        return kind(value.strip())
    except ValueError:
        choices = ", ".join(kind)
        raise BadAnswerError(
            ko=f"{value!r}: {choices} 가운데 고르세요.", en=f"{value!r}: choose one of {choices}."
        ) from None


def default_name(file: Path) -> str:
    """Return a name for SQL that follows from the file's."""
    name = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    return (name if name[:1].isalpha() else f"data_{name}").rstrip("_")[:63]


def default_domain(report: UploadReport, file: Path) -> Domain:
    """Guess the domain from the file's and the columns' names."""
    words = " ".join([file.stem, *(f"{c.name} {c.label.ko}" for c in report.columns)]).lower()
    hits = (domain for domain, hint in _DOMAIN_HINTS.items() if re.search(hint, words))
    return next(hits, Domain.PROCESS)


def parse_price(text: str) -> PricePlan:
    """Read a price such as ``query=100 row=0.5``, or ``free``.

    Raises:
        BadAnswerError: A word is unknown, or an amount is none.
    """
    words = text.split() or [""]
    if words in (["free"], ["무료"]):
        return PricePlan()
    components = []
    for word in words:
        kind, _, amount = word.partition("=")
        try:
            components.append(
                PriceComponent(kind=PRICE_WORDS[kind], amount_micro=parse_won(amount))
            )
        except (KeyError, ValueError):
            raise BadAnswerError(
                ko=f"요금 {word!r}: free, once=원, month=원, query=원, row=원, mb=원 "
                "꼴로 적으세요.",
                en=f"Price {word!r}: write free, once=WON, month=WON, query=WON, row=WON, mb=WON.",
            ) from None
    return PricePlan(components=tuple(components))


def _terms(given: Answers, management: Api, surface: Surface, *, may_ask: bool) -> Terms:
    """Return the terms of the chosen template, the connector's first one by default."""
    templates = management.get("/management/policy-templates")["templates"]
    by_id = {str(template["id"]): template for template in templates}
    default = next(iter(by_id))
    chosen = given.template
    if chosen is None and may_ask:
        for key, template in by_id.items():
            title = surface.text(Text.model_validate(template["title"]))
            typer.echo(f"  {key}: {title}")
        chosen = str(typer.prompt(surface.say("이용 조건", "Terms"), default=default))
    template = by_id.get(chosen or default)
    if template is None:
        choices = ", ".join(by_id)
        raise BadAnswerError(
            ko=f"{chosen!r}: {choices} 가운데 고르세요.", en=f"{chosen!r}: choose one of {choices}."
        )
    return Terms.model_validate(template["terms"])
