"""Routes that stay in one thread: what they open, answer and describe is what FastAPI would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import Field

from databank.kit.routes import Router
from schemas.wire import OwnWire, Text

AT: Final = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
SEEN: Final[list[tuple[str, int]]] = []


class Shown(OwnWire):
    """An answer with what is written in more than one way."""

    name: Text
    at: datetime
    big: int = 2**60
    share: float | None = None
    parts: tuple[int, ...] = Field(default=(1, 2))


PATHS: Final = (
    "/shown/7",
    "/short",
    "/many",
    "/raw",
    "/nothing",
    "/none",
    "/told",
    "/here",
)
SHOWN: Final = Shown(name=Text(ko="이름", en="name"), at=AT)


def note(what: str) -> None:
    SEEN.append((what, threading.get_ident()))


def opened(request: Request) -> Iterator[str]:
    note("opened")
    try:
        yield request.url.path
    except LookupError:
        note("undone")
        raise
    note("closed")


OpenedDep = Annotated[str, Depends(opened, scope="function")]


def routes(router: APIRouter) -> APIRouter:
    """Add the same routes to any router."""

    @router.get("/shown/{number}", status_code=201)
    def shown(number: int, path: OpenedDep) -> Shown:
        note("route")
        return SHOWN.model_copy(update={"big": number, "name": Text(ko=path, en="name")})

    @router.get("/short", response_model_exclude_none=True)
    def short() -> Shown:
        return SHOWN

    @router.get("/many")
    def many() -> list[dict[str, Any]]:
        return [{"at": AT, "text": "가"}]

    @router.get("/raw", response_class=Response)
    def raw() -> Response:
        return Response(b"\x00", media_type="application/octet-stream")

    @router.get("/nothing", status_code=204)
    def nothing() -> None:
        note("route")

    @router.get("/none")
    def none() -> None:
        note("route")

    @router.get("/told")
    def told(response: Response) -> dict[str, int]:
        response.headers["X-Told"] = "1"
        return {"n": 1}

    @router.get("/lost")
    def lost(path: OpenedDep) -> None:
        raise LookupError(path)

    @router.get("/here")
    async def here() -> dict[str, int]:
        return {"n": 2}

    return router


def served(router: APIRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(routes(router))
    return app


def get(app: FastAPI, path: str) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://us.example") as client:
            return await client.get(path)

    return asyncio.run(run())


@pytest.fixture
def one() -> FastAPI:
    SEEN.clear()
    return served(Router())


def test_answers_and_documentation_are_those_of_fastapi(one: FastAPI) -> None:
    plain = served(APIRouter())
    for path in (*PATHS, "/shown/x"):
        ours, theirs = get(one, path), get(plain, path)
        assert ours.status_code == theirs.status_code, path
        assert ours.content == theirs.content, path
        assert ours.headers == theirs.headers, path
    assert one.openapi() == plain.openapi()


def test_what_a_route_opens_is_opened_and_closed_in_its_thread(one: FastAPI) -> None:
    assert get(one, "/shown/7").status_code == 201
    assert [what for what, _ in SEEN] == ["opened", "route", "closed"]
    assert len({thread for _, thread in SEEN}) == 1


def test_what_a_route_opened_learns_of_its_failure(one: FastAPI) -> None:
    assert get(one, "/lost").status_code == 500
    assert [what for what, _ in SEEN] == ["opened", "undone"]


def test_an_application_may_put_something_in_its_place(one: FastAPI) -> None:
    def other(request: Request) -> Iterator[str]:
        yield f"instead of {request.url.path}"

    one.dependency_overrides[opened] = other
    assert get(one, "/shown/7").json()["name"]["ko"] == "instead of /shown/7"
    assert [what for what, _ in SEEN] == ["route"]
