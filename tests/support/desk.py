"""A person at a connector's desk: a browser's cookies, links and forms, without a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx

from tests.support.connectors import Running

DESK: Final = "/desk"
FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass
class Form:
    """A form of a page, with what stands in it."""

    action: str
    values: dict[str, list[str]] = field(default_factory=dict)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.answer = answer
        self.html = answer.text
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.forms: dict[str, Form] = {}
        self.words: list[str] = []
        self._form: Form | None = None
        self._area: str | None = None
        self._select: str | None = None
        self.feed(self.html)

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def text(self) -> str:
        """What is read on the page."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self._form = Form(given["action"].partition("#")[0])
                self.forms[self._form.action.rpartition("/")[2]] = self._form
            case "input" if self._form and given.get("type") not in {"checkbox", "radio"}:
                self._put(given.get("name", ""), given.get("value", ""))
            case "input" if self._form and "checked" in given:
                self._put(given["name"], given["value"])
            case "textarea":
                self._area = given["name"]
                self._put(self._area, "")
            case "select":
                self._select = given["name"]
            case "option" if self._select and "selected" in given:
                self._put(self._select, given["value"])

    def _put(self, name: str, value: str) -> None:
        assert self._form is not None, f"{name} stands in no form"
        if not name:  # not sent
            return
        self._form.values.setdefault(name, []).append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area and self._form:
            self._form.values[self._area][-1] += data
        self.words.append(data)


class Person:
    """Somebody at the desk of a connector."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.http = httpx.Client(base_url=running.url, follow_redirects=True, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def look(self, path: str = "", **options: Any) -> Page:
        return Page(self.http.get(f"{DESK}{path}", **options))

    def sign_in(self, token: str | None = None, **options: Any) -> Page:
        token = self.running.app.state.context.admin_token if token is None else token
        return self.send(f"{DESK}/sign-in", {"token": token}, **options)

    def send(self, action: str, values: dict[str, Any], **options: Any) -> Page:
        """Send a form, also with texts that are none."""
        body = urlencode(values, doseq=True, errors="surrogatepass")
        headers = {"Content-Type": FORM_TYPE, **options.pop("headers", {})}
        return Page(self.http.post(action, content=body, headers=headers, **options))

    def submit(self, page: Page, name: str, **changes: Any) -> Page:
        """Send a page's form, with some fields filled in otherwise; None leaves one out."""
        form = page.forms[name]
        named = {key.replace("__", "."): value for key, value in changes.items()}
        values = {k: v for k, v in {**form.values, **named}.items() if v is not None}
        return self.send(form.action, values)


def signed_in(running: Running) -> Person:
    """Return somebody who has signed in."""
    person = Person(running)
    page = person.sign_in()
    assert page.status == 200, page.text
    assert str(page.answer.url) == f"{running.url}{DESK}", page.text
    return person
