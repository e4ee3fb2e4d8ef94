"""Read a counterparty's JSON strictly: what two parsers could read differently is refused."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from schemas.wire import JSON_INT_MAX

DEPTH_MAX: Final = 32
_MESSAGE: Final = "the message is not acceptable JSON: "


class MalformedMessageError(ValueError):
    """Not one JSON object in UTF-8 that every parser reads alike."""


def parse_message(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that ``raw`` holds.

    Raises:
        MalformedMessageError: Not UTF-8, not an object, duplicate names, NaN or infinity,
            integers that JSON readers round, lone surrogates, NUL, or nested too deeply.
    """
    try:
        text = raw.decode("utf-8")
        _check_depth(text)
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_small_int,
            parse_float=_finite,
        )
        _check_texts(value)
    except MalformedMessageError:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedMessageError(_MESSAGE + str(error)) from None
    if not isinstance(value, dict):
        raise MalformedMessageError(_MESSAGE + "an object is expected")
    return value


def _check_depth(text: str) -> None:
    depth, is_text, is_escaped = 0, False, False
    for character in text:
        if is_text:
            if is_escaped:
                is_escaped = False
            elif character == "\\":
                is_escaped = True
            elif character == '"':
                is_text = False
        elif character == '"':
            is_text = True
        elif character in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise MalformedMessageError(_MESSAGE + f"nested deeper than {DEPTH_MAX}")
        elif character in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedMessageError(_MESSAGE + "a name stands twice")
    return value


def _no_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise MalformedMessageError(_MESSAGE + f"{name} is not a JSON number")


def _small_int(digits: str) -> int:
    if len(digits) > len(str(JSON_INT_MAX)) + 1 or abs(int(digits)) > JSON_INT_MAX:
        raise MalformedMessageError(_MESSAGE + "an integer is too large")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedMessageError(_MESSAGE + "a number is too large")
    return value


def _check_texts(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Refuse texts that databases or UTF-8 cannot hold: NUL and lone surrogates."""
    if isinstance(value, str):
        value.encode("utf-8")
        if "\0" in value:
            raise MalformedMessageError(_MESSAGE + "a text holds the character NUL")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)
