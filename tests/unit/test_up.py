"""Which ports the services of one process take."""

from __future__ import annotations

from pathlib import Path

import pytest

from databank.up import Bank

USUAL = {"broker": 8100, "catalog": 8200, "clearing": 8300, "a": 8401, "b": 8402}
FOLLOWING = {"broker": 9000, "catalog": 9001, "clearing": 9002, "a": 9003, "b": 9004}


@pytest.mark.parametrize(
    ("first_port", "ports"), [(None, USUAL), (9000, FOLLOWING), (0, dict.fromkeys(USUAL, 0))]
)
def test_ports_are_the_usual_ones_or_follow_the_first(
    first_port: int | None, ports: dict[str, int], tmp_path: Path
) -> None:
    assert Bank(tmp_path, ["a", "b"], first_port=first_port)._ports() == ports
