"""Routes that are answered in one thread: who calls, the transaction, the work and the answer.

FastAPI passes each of these to another thread, by way of the loop: four passes for a route that
holds a transaction, and each costs as much as reading a row a few times.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial, wraps
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin

from fastapi import APIRouter, Depends, Request, Response
from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import Depends as Dependency
from pydantic import TypeAdapter

Opener: TypeAlias = Callable[[Request], AbstractContextManager[Any]]
MEDIA_TYPE: Final = "application/json"
OK: Final = 200
BODILESS: Final = frozenset({204, 205, 304})


class Router(APIRouter):
    """A router whose synchronous routes stay in one thread.

    A dependency that opens and closes something around the route (a generator of scope
    ``function`` that takes the request) does so in the route's thread. It so comes after the
    message was read: a message of the wrong form is refused before its sender is looked at.
    """

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - as FastAPI's
        """Add a route."""
        if not inspect.iscoroutinefunction(endpoint):
            endpoint = _in_one_thread(endpoint, options)
        super().add_api_route(path, endpoint, **options)


async def _same(request: Request) -> Request:
    return request


RequestDep: Final = Annotated[Request, Depends(_same)]


def _in_one_thread(endpoint: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    signature = inspect.signature(endpoint, eval_str=True)
    openers: dict[str, Opener] = {}
    parameters = []
    for name, parameter in signature.parameters.items():
        opener = _opener_of(parameter.annotation)
        if opener is not None:
            openers[name] = opener
            parameter = parameter.replace(annotation=RequestDep)  # noqa: PLW2901 - the same one
        parameters.append(parameter)
    answer = _answerer(signature, options)

    @wraps(endpoint)
    def run(**given: Any) -> Any:  # noqa: ANN401 - as FastAPI's
        with ExitStack() as stack:
            for name, opener in openers.items():
                given[name] = stack.enter_context(opener(given[name]))
            said = endpoint(**given)
        return answer(said)

    del run.__wrapped__  # else FastAPI reads the names behind it
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _opener_of(annotation: Any) -> Opener | None:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is not Annotated:
        return None
    for said in get_args(annotation)[1:]:
        if isinstance(said, Dependency) and said.scope == "function":
            dependency = said.dependency
            if inspect.isgeneratorfunction(dependency):
                return partial(_open, dependency)
    return None


def _open(
    dependency: Callable[[Request], Iterator[Any]], request: Request
) -> AbstractContextManager[Any]:
    """Open a dependency, or what the application has put in its place."""
    chosen = request.app.dependency_overrides.get(dependency, dependency)
    return contextmanager(chosen)(request)


def _answerer(signature: inspect.Signature, options: dict[str, Any]) -> Callable[[Any], Any]:
    """Return what writes an answer; what a route says of its answer is left to FastAPI."""
    told, status = signature.return_annotation, options.get("status_code") or OK
    is_told_otherwise = any(
        value and not isinstance(value, DefaultPlaceholder)
        for name, value in options.items()
        if name.startswith("response_model") and name != "response_model_by_alias"
    )
    takes_response = any(p.annotation is Response for p in signature.parameters.values())
    if is_told_otherwise or takes_response or status in BODILESS:
        return lambda said: said
    if told is inspect.Signature.empty or (inspect.isclass(told) and issubclass(told, Response)):
        return lambda said: said
    adapter: TypeAdapter[Any] = TypeAdapter(told)

    def answer(said: Any) -> Any:  # noqa: ANN401 - as FastAPI's
        if isinstance(said, Response):
            return said
        return Response(adapter.dump_json(said, by_alias=True), status, media_type=MEDIA_TYPE)

    return answer
