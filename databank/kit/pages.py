"""Server-rendered pages in Korean and English, as the portal and the desk show them.

No script, nothing from elsewhere; whatever a template shows is escaped and without characters
that would steer the page around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from schemas.shown import clean_text, in_seoul
from schemas.wire import Text

LANGUAGES: Final = {"ko": "한국어", "en": "English"}
LANGUAGE_SECONDS: Final = 365 * 24 * 3600
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie",
}
HERE: Final = Path(__file__).parent
WORDS: Final[dict[str, Text]] = {
    "bank": Text(ko="산업데이터은행", en="Industrial Data Bank"),
    "skip": Text(ko="본문으로 바로가기", en="Skip to the content"),
    "language": Text(ko="언어", en="Language"),
}
_WEEKDAYS: Final = "월화수목금토일"


def clean(value: object) -> object:
    """Clean what a template shows, if it is a text that is not our own markup."""
    is_foreign = isinstance(value, str) and not isinstance(value, Markup)
    return clean_text(str(value)) if is_foreign else value


def in_language(text: Text, language: str) -> str:
    """Return a text in a language, or in the other one if it is empty."""
    return text.in_language(language) or text.ko or text.en


def day(time: datetime, language: str) -> str:
    """Write a day as people in Korea read it."""
    local = in_seoul(time)
    weekday = f" ({_WEEKDAYS[local.weekday()]})" if language == "ko" else ""
    return f"{local:%Y-%m-%d}{weekday}"


def moment(time: datetime, language: str) -> str:
    """Write a day and the time of the day in Seoul."""
    zone = "" if language == "ko" else " KST"
    return f"{day(time, language)} {in_seoul(time):%H:%M}{zone}"


def address(path: str, params: Mapping[str, str | None], **changes: str | None) -> str:
    """Return a link to a page of ours; empty parameters are left out."""
    wanted = {name: value for name, value in {**params, **changes}.items() if value}
    return f"{path}?{urlencode(wanted)}" if wanted else path


def language_of(request: Request) -> str:
    """Return the reader's language: that of the address, else the one chosen before."""
    asked = request.query_params.get("lang") or request.cookies.get("lang")
    return asked if asked in LANGUAGES else "ko"


class Pages:
    """The pages of one service: ``folder`` holds its ``templates`` and its ``static`` files."""

    def __init__(
        self,
        folder: Path,
        words: Mapping[str, Text],
        *,
        headers: Mapping[str, str] | None = None,
        **shown: object,
    ) -> None:
        """Load the templates.

        Args:
            folder: Where the service's templates and static files lie.
            words: The service's own words, by name.
            headers: What every page is sent with besides ``HEADERS``.
            shown: What every template may use.
        """
        self._folder = folder
        self._words = {**WORDS, **words}
        self._headers = {**HEADERS, **(headers or {})}
        self.environment = Environment(
            loader=FileSystemLoader([folder / "templates", HERE / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=clean,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals.update(shown)

    def static_files(self) -> StaticFiles:
        """Return the service's static files and those that all pages share."""
        return StaticFiles(directory=self._folder / "static", packages=[("databank.kit", "static")])

    def word(self, name: str, language: str) -> str:
        """Return one of the words."""
        return self._words[name].in_language(language)

    def render(
        self,
        request: Request,
        name: str,
        *,
        status: int = 200,
        here: str | None = None,
        **values: Any,  # noqa: ANN401 - whatever the template shows
    ) -> HTMLResponse:
        """Return a page in the reader's language, which a choice in the address changes for good.

        ``here`` is where the links to other languages lead, if not to the request's address.
        """
        language = language_of(request)
        path, _, asked = (here or request.url.path).partition("?")
        params = dict(parse_qsl(asked)) if here else dict(request.query_params)
        page = self.environment.get_template(name).render(
            language=language,
            other_languages=[
                (code, title, address(path, params, lang=code))
                for code, title in LANGUAGES.items()
                if code != language
            ],
            t=partial(self.word, language=language),
            say=partial(in_language, language=language),
            day=partial(day, language=language),
            moment=partial(moment, language=language),
            **values,
        )
        response = HTMLResponse(page, status_code=status, headers=self._headers)
        if request.query_params.get("lang") == language:
            response.set_cookie(
                "lang", language, max_age=LANGUAGE_SECONDS, httponly=True, samesite="lax"
            )
        return response
