"""Times as they cross the wire."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.wire import OwnWire, Time, format_time, parse_time


class Appointment(OwnWire):
    at: Time


def test_a_time_is_written_in_utc() -> None:
    assert format_time(parse_time("2026-11-24T14:00:00+09:00")) == "2026-11-24T05:00:00Z"


@pytest.mark.parametrize(
    "text", ["", "2026-11-24", "2026-11-24T05:00:00", "soon Z", "0001-01-01T00:00:00+23:59"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)
    with pytest.raises(ValidationError):
        Appointment.model_validate({"at": text})
