"""What publishing asks for: at a terminal by question, else by option, with defaults.

Options are read before the file is sent, so that a wrong one costs nothing; a wrong answer
at the terminal is asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta, timezone
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from databank.cli.bad_answer import BadAnswerError
from databank.cli.surface import Surface
from databank.cli.terms_option import apply_terms
from databank.client.api import Api
from databank.client.publisher import publications
from databank.kit.clock import system_clock
from schemas.approval import Approval
from schemas.dataset import RESERVED_NAMES, ColumnType, Domain, Industry, Sensitivity
from schemas.ids import DATASET_NAME
from schemas.management import (
    DESCRIPTION_CHARS_MAX,
    KEYWORD_CHARS_MAX,
    TITLE_CHARS_MAX,
    ColumnChange,
    Publication,
    PublishRequest,
    ReviseRequest,
    UploadReport,
    check_line,
)
from schemas.price import PricePlan
from schemas.price_form import BadPriceError, parse_plan
from schemas.terms import Terms
from schemas.wire import Text

SEOUL: Final = timezone(timedelta(hours=9))
DEFAULT_PRICE: Final = "query=100"
_DOMAIN_HINTS: Final = {
    Domain.CARBON: r"carbon|co2|탄소|emission|pcf|배출",
    Domain.SUPPLY_CHAIN: r"suppl|ship|deliver|vendor|공급|납품|배송|물류",
}
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line said, unread."""

    name: str | None = None
    title: str | None = None
    title_en: str | None = None
    description: str | None = None
    domain: str | None = None
    industry: str | None = None
    keywords: list[str] | None = None
    template: str | None = None
    terms: list[str] | None = None
    prices: list[str] | None = None
    types: list[str] | None = None
    units: list[str] | None = None
    sensitivities: list[str] | None = None
    approval: str | None = None

    def is_empty(self) -> bool:
        """Whether nothing was said at all."""
        return not any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Desk:
    """What the connector has already: its terms to choose from, and its own datasets."""

    templates: Mapping[str, Mapping[str, Any]]
    own: Mapping[str, Publication]

    def read_name(self, text: str) -> str:
        """Read the name of a new dataset.

        Raises:
            BadAnswerError: It is not a name, a word of SQL, or taken.
        """
        name = text.strip()
        if not DATASET_NAME.match(name):
            raise BadAnswerError(
                ko=f"{name!r}: 영문 소문자로 시작해 영문 소문자, 숫자, _만 63자까지 쓰세요.",
                en=f"{name!r}: use a–z, 0–9 and _, beginning with a letter, at most 63.",
            )
        if name in RESERVED_NAMES:
            raise BadAnswerError(
                ko=f"{name!r}은(는) SQL의 낱말입니다. {name}_data처럼 다른 이름을 쓰세요.",
                en=f"{name!r} is a word of SQL. Take another name, such as {name}_data.",
            )
        if (found := self.own.get(name)) is not None:
            raise _taken(name, is_withdrawn=found.is_withdrawn)
        return name

    def read_terms(self, text: str) -> Terms:
        """Read the id of a template.

        Raises:
            BadAnswerError: There is no such template.
        """
        template = self.templates.get(text.strip())
        if template is None:
            raise _no_choice(text, self.templates)
        return Terms.model_validate(template["terms"])


def open_desk(management: Api) -> Desk:
    """Ask the connector for its templates and datasets."""
    templates = management.get("/management/policy-templates")["templates"]
    return Desk(
        {str(template["id"]): template for template in templates},
        {publication.dataset.name: publication for publication in publications(management)},
    )


def _taken(name: str, *, is_withdrawn: bool) -> BadAnswerError:
    if is_withdrawn:
        return BadAnswerError(
            ko=f"{name!r}은(는) 공개를 거둔 데이터셋의 이름입니다. `databank restore {name}`으로 "
            f"다시 내거나 {name}_2처럼 다른 이름을 쓰세요.",
            en=f"{name!r} is a withdrawn dataset. Offer it again with `databank restore {name}`, "
            f"or take another name, such as {name}_2.",
        )
    return BadAnswerError(
        ko=f"{name!r}(이)라는 데이터셋이 이미 있습니다. 조건이나 제목은 "
        f"`databank revise {name}`으로 고치고, 다른 데이터라면 {name}_2처럼 다른 이름을 쓰세요.",
        en=f"There is a dataset called {name!r} already. Change its terms or title with `databank "
        f"revise {name}`; for other data take another name, such as {name}_2.",
    )


def _no_choice(value: str, choices: Any) -> BadAnswerError:  # noqa: ANN401 - anything that lists texts
    named = ", ".join(choices)
    return BadAnswerError(
        ko=f"{value!r}: {named} 가운데 고르세요.", en=f"{value!r}: choose one of {named}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the options said, read; None is still to be asked for."""

    name: str | None
    title: str | None
    title_en: str | None
    description: str | None
    domain: Domain | None
    industry: Industry | None
    keywords: tuple[str, ...] | None
    terms: Terms | None
    plan: PricePlan | None
    approval: Approval | None
    columns: tuple[ColumnChange, ...]


def read_options(options: Options, desk: Desk, *, file: Path, may_ask: bool) -> Given:
    """Read all options; where nobody can be asked for a name, it follows from the file's.

    Raises:
        BadAnswerError: One of them is wrong.
    """

    def read(text: str | None, reader: Callable[[str], _Value]) -> _Value | None:
        return None if text is None else reader(text)

    keywords = options.keywords
    name = options.name
    if name is None and not may_ask:
        name = _suggested_name(file, desk)
    return Given(
        name=read(name, desk.read_name),
        title=read(options.title, read_title),
        title_en=read(options.title_en, read_title),
        description=read(options.description, lambda text: _line(text, DESCRIPTION_CHARS_MAX)),
        domain=read(options.domain, read_domain),
        industry=read(options.industry, read_industry),
        keywords=tuple(_line(word, KEYWORD_CHARS_MAX) for word in keywords) if keywords else None,
        terms=_read_terms(options, desk, Terms()),
        plan=parse_price(" ".join(options.prices)) if options.prices else None,
        approval=read(options.approval, lambda text: Approval(_choice(Approval, text))),
        columns=read_columns(options),
    )


def _read_terms(options: Options, desk: Desk, standing: Terms) -> Terms | None:
    """Return the template with the single terms in it; without a template they change others."""
    if options.template is None and not options.terms:
        return None
    base = standing if options.template is None else desk.read_terms(options.template)
    return apply_terms(base, options.terms or ())


def ask(
    given: Given,
    report: UploadReport,
    desk: Desk,
    surface: Surface,
    *,
    file: Path,
    may_ask: bool,
) -> PublishRequest:
    """Return a complete request; options win, then answers, then defaults."""

    def settle(
        said: _Value | None, reader: Callable[[str], _Value], ko: str, en: str, default: str
    ) -> _Value:
        if said is not None:
            return said
        return (
            _ask_until(reader, surface.say(ko, en), default, surface)
            if may_ask
            else reader(default)
        )

    suggested = _suggested_name(file, desk)
    name = settle(given.name, desk.read_name, "SQL에 쓸 이름", "Name in SQL", suggested)
    heading = file.stem.strip()[:TITLE_CHARS_MAX] or name
    title = settle(given.title, read_title, "제목", "Title", heading)
    domain, industry = ", ".join(Domain), ", ".join(Industry)
    guess = default_domain(report, file).value
    if given.terms is None and may_ask:
        for key, template in desk.templates.items():
            typer.echo(f"  {key}: {surface.text(Text.model_validate(template['title']))}")
    first = next(iter(desk.templates))
    prices = "free, once=, month=, query=, row=, mb=, compute="
    description = given.description or title
    return PublishRequest(
        upload_id=report.upload_id,
        name=name,
        title=Text(ko=title, en=given.title_en or title),
        description=Text(ko=description, en=description),
        domain=settle(given.domain, read_domain, f"분야 ({domain})", f"Domain ({domain})", guess),
        industry=settle(
            given.industry,
            read_industry,
            f"업종 ({industry})",
            f"Industry ({industry})",
            Industry.OTHER.value,
        ),
        keywords=given.keywords or (),
        columns=given.columns,
        terms=settle(given.terms, desk.read_terms, "이용 조건", "Terms", first),
        plan=settle(
            given.plan, parse_price, f"요금(원): {prices}", f"Price in won: {prices}", DEFAULT_PRICE
        ),
        approval=given.approval or Approval.AUTOMATIC,
    )


def _suggested_name(file: Path, desk: Desk) -> str:
    return default_name(file, desk.own, today=system_clock().astimezone(SEOUL).date())


def _ask_until(
    reader: Callable[[str], _Value], question: str, default: str, surface: Surface
) -> _Value:
    while True:
        answer = str(typer.prompt(question, default=default))
        try:
            return reader(answer)
        except BadAnswerError as error:
            surface.note(surface.text(error.detail))


def _line(text: str, chars_max: int) -> str:
    try:
        return check_line(text, chars_max)
    except ValueError:
        said = text.strip()[:20]
        raise BadAnswerError(
            ko=f"{said!r}: 1자부터 {chars_max:,}자까지 적으세요.",
            en=f"{said!r}: write 1 to {chars_max:,} characters.",
        ) from None


def read_title(text: str) -> str:
    """Read a title; raises ``BadAnswerError`` if it is empty or too long."""
    return _line(text, TITLE_CHARS_MAX)


def _choice(kind: Any, value: str) -> Any:  # noqa: ANN401 - a StrEnum class and its member
    try:
        return kind(value.strip())
    except ValueError:
        raise _no_choice(value, kind) from None


def read_domain(text: str) -> Domain:
    """Read a domain; raises ``BadAnswerError`` if it is none."""
    return Domain(_choice(Domain, text))


def read_industry(text: str) -> Industry:
    """Read an industry; raises ``BadAnswerError`` if it is none."""
    return Industry(_choice(Industry, text))


def read_columns(options: Options) -> tuple[ColumnChange, ...]:
    """Read what the options say of single columns: ``열=값``.

    Raises:
        BadAnswerError: Not of that form, or the value is not one of the choices.
    """
    changes: dict[str, dict[str, Any]] = {}
    kinds: tuple[tuple[str, list[str] | None, Any], ...] = (
        ("type", options.types, ColumnType),
        ("unit", options.units, None),
        ("sensitivity", options.sensitivities, Sensitivity),
    )
    for key, said, kind in kinds:
        for text in said or ():
            column, equals, value = text.partition("=")
            if not column.strip() or not equals:
                raise BadAnswerError(
                    ko=f"{text!r}: 열=값 꼴로 적으세요.", en=f"{text!r}: write COLUMN=VALUE."
                )
            read = value.strip() if kind is None else _choice(kind, value)
            changes.setdefault(column.strip(), {})[key] = read
    return tuple(ColumnChange(name=name, **values) for name, values in changes.items())


def read_revision(options: Options, old: Publication, management: Api) -> ReviseRequest:
    """Read what is to change; an English title that was the Korean one follows it.

    Raises:
        BadAnswerError: An option is wrong, or there is none.
    """
    if options.is_empty():
        raise BadAnswerError(
            ko="고칠 것을 적으세요: --title, --title-en, --description, --keyword, --template, "
            "--term, --price, --approval.",
            en="Say what to change: --title, --title-en, --description, --keyword, --template, "
            "--term, --price or --approval.",
        )
    desk = open_desk(management)
    given = read_options(options, desk, file=Path(), may_ask=True)
    title = _revised(old.dataset.title, given.title, given.title_en)
    description = _revised(old.dataset.description, given.description, None)
    return ReviseRequest(
        title=title,
        description=description,
        keywords=given.keywords,
        terms=_read_terms(options, desk, old.terms),
        plan=given.plan,
        approval=given.approval,
    )


def _revised(old: Text, ko: str | None, en: str | None) -> Text | None:
    if ko is None and en is None:
        return None
    follows = ko if old.en == old.ko else None
    return Text(ko=ko or old.ko, en=en or follows or old.en)


def default_name(file: Path, taken: Mapping[str, object], *, today: date) -> str:
    """Return a name for SQL that follows from the file's, or else from the day."""
    name = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    if not name:
        stem, number = f"dataset_{today:%Y%m%d}", 1
        while f"{stem}_{number}" in taken:
            number += 1
        return f"{stem}_{number}"
    name = (name if name[0].isalpha() else f"data_{name}")[:63].rstrip("_")
    return f"{name}_data" if name in RESERVED_NAMES else name


def default_domain(report: UploadReport, file: Path) -> Domain:
    """Guess the domain from the file's and the columns' names."""
    words = " ".join([file.stem, *(f"{c.name} {c.label.ko}" for c in report.columns)]).lower()
    hits = (domain for domain, hint in _DOMAIN_HINTS.items() if re.search(hint, words))
    return next(hits, Domain.PROCESS)


def parse_price(text: str) -> PricePlan:
    """Read a price such as ``query=100 row=0.5``, or ``free`` (`schemas.price_form`).

    Raises:
        BadAnswerError: A word is unknown, an amount is none, or it contradicts itself.
    """
    try:
        return parse_plan(text)
    except BadPriceError as error:
        reason = error.reason
        raise BadAnswerError(
            ko=f"요금 {error.word}: {reason.ko}", en=f"Price {error.word}: {reason.en}"
        ) from None
