"""Calls to other services: one client module, every call signed, errors turned into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from databank.kit.clock import Clock
from schemas.ids import ParticipantId, did_web
from schemas.problem import ProblemError, RemoteUnavailableError
from schemas.signature import SigningKey
from schemas.token import issue
from schemas.wire import Text

ANSWER_BYTES_MAX: Final = 32 * 2**20


class RemoteRefusedError(ProblemError):
    """The other service answered with an error; its problem is passed on."""

    slug = "remote-refused"
    title = Text(ko="상대 서비스가 거절했습니다", en="The other service refused")
    status = 502

    def __init__(self, *, remote_status: int, problem: dict[str, Any]) -> None:
        super().__init__(
            ko=str(problem.get("detail") or problem.get("title") or f"HTTP {remote_status}"),
            en=str(problem.get("detail_en") or problem.get("detail") or f"HTTP {remote_status}"),
            remote_status=remote_status,
            remote_type=problem.get("type"),
        )
        self.remote_status = remote_status
        self.problem = problem


@dataclass(slots=True)
class Identity:
    """Who we are when we call others; ``key`` is replaced when it is rotated."""

    did: ParticipantId
    key: SigningKey


class ServiceClient:
    """Calls to other services as ``identity``; safe to use from several threads."""

    def __init__(
        self,
        identity: Identity,
        *,
        clock: Clock,
        make_jti: Any,  # noqa: ANN401 - IdMaker; pydantic-free alias kept short
        http: httpx.Client,
        make_access_token: Callable[[str], str] | None = None,
    ) -> None:
        self.identity = identity
        self._make_access_token = make_access_token
        self._clock = clock
        self._make_jti = make_jti
        self._http = http

    def authorization(self, audience: str, *, access_token: str | None = None) -> dict[str, str]:
        """Return the header that identifies us to ``audience`` once.

        Without an access token of a data address, the token carries one for our credential
        service if we have that service.
        """
        if access_token is None and self._make_access_token is not None:
            access_token = self._make_access_token(audience)
        token = issue(
            key=self.identity.key,
            issuer=self.identity.did,
            audience=audience,
            now=self._clock(),
            jti=self._make_jti(),
            access_token=access_token,
        )
        return {"Authorization": f"Bearer {token}"}

    def call(
        self,
        method: str,
        url: str,
        *,
        audience: str | None = None,
        json: Any = None,  # noqa: ANN401 - any JSON value
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        access_token: str | None = None,
    ) -> httpx.Response:
        """Call another service and return its answer, whatever its status.

        ``audience`` is the receiver's DID; without it, the DID that follows from the URL's
        origin.

        Raises:
            RemoteUnavailableError: No answer in time, or one that is too large.
        """
        signed = self.authorization(audience or _origin_did(url), access_token=access_token)
        try:
            with self._http.stream(
                method,
                url,
                json=json,
                content=content,
                params=params,
                headers={**(headers or {}), **signed},
            ) as response:
                _read_bounded(response)
                return response
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unavailable(url, error) from None

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        audience: str,
        json: Any = None,  # noqa: ANN401 - any JSON value
        headers: dict[str, str] | None = None,
        access_token: str | None = None,
    ) -> Iterator[httpx.Response]:
        """Call another service and read its answer piece by piece.

        Raises:
            RemoteUnavailableError: No answer in time, or it broke off.
        """
        signed = self.authorization(audience, access_token=access_token)
        try:
            with self._http.stream(
                method, url, json=json, headers={**(headers or {}), **signed}
            ) as response:
                yield response
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unavailable(url, error) from None

    def call_json(self, method: str, url: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as call
        """Call another service and return the JSON object of a 2xx answer.

        Raises:
            RemoteRefusedError: Any other answer.
            RemoteUnavailableError: No answer.
        """
        return expect_json(self.call(method, url, **options))


def expect_json(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a 2xx answer; the response must have been read.

    Raises:
        RemoteRefusedError: Any other answer.
    """
    value = _object_of(response)
    if response.is_success:
        return value
    raise RemoteRefusedError(remote_status=response.status_code, problem=value)


def _object_of(response: httpx.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _origin_did(url: str) -> ParticipantId:
    parts = urlsplit(url)
    return did_web(f"{parts.scheme}://{parts.netloc}")


def _read_bounded(response: httpx.Response) -> None:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise httpx.ReadError(f"answer over {ANSWER_BYTES_MAX} bytes")
    response._content = bytes(body)  # noqa: SLF001 - httpx has no bounded read


def _unavailable(url: str, error: Exception) -> RemoteUnavailableError:
    host = urlsplit(url).netloc
    return RemoteUnavailableError(
        ko=f"{host} 서비스가 응답하지 않습니다. 잠시 뒤 다시 시도하세요.",
        en=f"{host} does not answer ({type(error).__name__}). Try again later.",
        retryable=True,
    )
