"""What is listed at the catalog, asked for our company's people."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote, urlsplit

from pydantic import ValidationError

from connector.runtime import Runtime
from databank.kit.http import RemoteRefusedError
from schemas.dataset import Listing
from schemas.problem import NotFoundError, RemoteUnavailableError
from schemas.search import SearchAnswer
from schemas.wire import OwnWire

SHOWN_MAX: Final = 20
WANTED_CHARS_MAX: Final = 200
_REF: Final = re.compile(r"[^\s.:/]+\.[^\s.:/]+")
_DATASET_PAGE: Final = "/d/"  # of the catalog's portal
_Answer = TypeVar("_Answer", bound=OwnWire)


def is_name(wanted: str) -> bool:
    """Whether a text names one dataset: ``handle.name``, its id, or its page at the portal."""
    return bool(_REF.fullmatch(wanted)) or wanted.startswith("urn:") or _DATASET_PAGE in wanted


def find(runtime: Runtime, wanted: str) -> Listing:
    """Return the listing that a text names.

    Raises:
        NotFoundError: The catalog lists none of that name.
        RemoteUnavailableError: The catalog does not answer, or not as one.
    """
    try:
        if _REF.fullmatch(wanted):
            return _ask(runtime, "/datasets", Listing, ref=wanted.lower())
        id_ = wanted
        if _DATASET_PAGE in wanted:
            id_ = unquote(urlsplit(wanted).path.partition(_DATASET_PAGE)[2])
        return _ask(runtime, f"/datasets/{quote(id_, safe=':')}", Listing)
    except (RemoteRefusedError, ValueError) as error:
        if isinstance(error, RemoteRefusedError) and error.remote_status not in {
            HTTPStatus.NOT_FOUND,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        }:
            raise
    raise NotFoundError(
        ko=f"카탈로그에 '{wanted}' 데이터셋이 없습니다. 이름(회사.이름)을 확인하거나 검색어를 "
        "적으세요.",
        en=f"The catalog lists no dataset '{wanted}'. Check its name (handle.name), or write words "
        "to search for.",
    )


def search(runtime: Runtime, words: str) -> SearchAnswer:
    """Return the listings that have all words, best first, at most ``SHOWN_MAX``.

    Raises:
        RemoteUnavailableError: The catalog does not answer, or not as one.
    """
    return _ask(runtime, "/search", SearchAnswer, q=words, limit=str(SHOWN_MAX))


def _ask(runtime: Runtime, path: str, model: type[_Answer], **params: str) -> _Answer:
    url = runtime.settings.catalog_url.rstrip("/") + path
    answer: dict[str, Any] = runtime.client.call_json("GET", url, params=params)
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise RemoteUnavailableError(
            ko=f"{runtime.settings.catalog_url}의 답을 읽을 수 없습니다. CATALOG_URL 설정과 "
            "카탈로그의 판을 확인하세요.",
            en=f"The answer of {runtime.settings.catalog_url} cannot be read. Check the setting "
            "CATALOG_URL and the catalog's version.",
        ) from None
