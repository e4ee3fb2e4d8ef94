"""Reading a counterparty's bytes: one error class, and never another reading."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import canonical_bytes
from schemas.dsp.parse import DEPTH_MAX, MalformedMessageError, parse_message
from schemas.wire import JSON_INT_MAX

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-JSON_INT_MAX, JSON_INT_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(text, values, max_size=5))
def test_what_is_written_is_read(message: dict[str, object]) -> None:
    assert parse_message(json.dumps(message).encode()) == message
    assert parse_message(json.dumps(message, ensure_ascii=False).encode()) == message


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u0e1+-.9naNIfity ').map(str.encode))
def test_any_bytes_are_an_object_with_a_canonical_form_or_refused(raw: bytes) -> None:
    try:
        message = parse_message(raw)
    except MalformedMessageError:
        return
    assert isinstance(message, dict)
    canonical_bytes(message)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":-1e999}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\\u0000"}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}",
        b"[" * 100_000,
        b"{}{}",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_message(raw)


def test_as_deep_as_allowed_is_read() -> None:
    inner = b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1)
    assert set(parse_message(b'{"a":' + inner + b"}")) == {"a"}
