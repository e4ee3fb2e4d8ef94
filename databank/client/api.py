"""HTTP calls of people and tools: to a connector's management, and to services' open routes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from databank.kit.http import RemoteRefusedError, expect_json
from schemas.problem import RemoteUnavailableError

TIMEOUT: Final = httpx.Timeout(120.0, connect=5.0)  # a query may run for two minutes
ATTEMPTS_MAX: Final = 4
PAUSE_SECONDS: Final = 0.2  # doubles


@dataclass(frozen=True, slots=True)
class Api:
    """One service, called with a fixed token, or with none."""

    url: str
    token: str | None
    http: httpx.Client

    def get(self, path: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - query values
        """Return the JSON object at ``path``; tried again if the way to it fails.

        Raises:
            RemoteRefusedError: The service said no; its problem is inside.
            RemoteUnavailableError: It does not answer.
        """
        given = {key: str(value) for key, value in params.items() if value is not None}
        return self.repeat("GET", path, params=given)

    def post(self, path: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        """Send once and return the JSON object of the answer.

        Raises:
            RemoteRefusedError: The service said no.
            RemoteUnavailableError: It does not answer; it may have acted.
        """
        return expect_json(self.send("POST", path, json=body))

    def repeat(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """As ``get``, for calls that do no harm when they arrive twice."""
        return expect_json(self.send_repeatedly(method, path, **options))

    def send_repeatedly(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send until there is an answer that another try cannot better.

        Raises:
            RemoteUnavailableError: None came in ``ATTEMPTS_MAX`` tries.
        """
        for attempt in range(ATTEMPTS_MAX):
            is_last = attempt == ATTEMPTS_MAX - 1
            try:
                response = self.send(method, path, **options)
            except RemoteUnavailableError:
                if is_last:
                    raise
            else:
                if is_last or not _is_retryable(response):
                    return response
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send once and return the answer, whatever its status.

        Raises:
            RemoteUnavailableError: There is none.
        """
        try:
            return self.http.request(method, self.url + path, **self._signed(options))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unavailable(self.url, error) from None

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:  # noqa: ANN401
        """Send once and read the answer piece by piece.

        Raises:
            RemoteUnavailableError: No answer, or it broke off.
            RemoteRefusedError: The service said no.
        """
        try:
            with self.http.stream(method, self.url + path, **self._signed(options)) as response:
                if not response.is_success:
                    response.read()
                yield expect_success(response)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unavailable(self.url, error) from None

    def _signed(self, options: dict[str, Any]) -> dict[str, Any]:
        if self.token is None:
            return options
        headers = {**options.get("headers", {}), "Authorization": f"Bearer {self.token}"}
        return {**options, "headers": headers}


def open_http() -> httpx.Client:
    """Return a client that never goes through a proxy named in the environment."""
    return httpx.Client(timeout=TIMEOUT, trust_env=False)


def expect_success(response: httpx.Response) -> httpx.Response:
    """Return a 2xx answer.

    Raises:
        RemoteRefusedError: Any other; its problem is inside.
    """
    if response.is_success:
        return response
    raise RemoteRefusedError(remote_status=response.status_code, problem=_problem_of(response))


def _is_retryable(response: httpx.Response) -> bool:
    return not response.is_success and _problem_of(response).get("retryable") is True


def _problem_of(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _unavailable(url: str, error: Exception) -> RemoteUnavailableError:
    return RemoteUnavailableError(
        ko=f"{url} 이(가) 응답하지 않습니다. 서비스가 떠 있는지 확인하세요: "
        f"`databank health {url}`",
        en=f"{url} does not answer ({type(error).__name__}). Check it with "
        f"`databank health {url}`.",
        retryable=True,
    )
