"""The databank command as a process: fast help, no traceback, safe defaults."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.support.processes import free_port, plain_environment, run_command

pytestmark = pytest.mark.e2e


def test_help_is_fast() -> None:
    started = time.monotonic()
    answer = run_command("--help")
    seconds = time.monotonic() - started
    assert answer.returncode == 0
    assert "publish" in answer.stdout
    assert seconds < 2.0, "help imports too much"  # aim 0.5 s; a busy machine gets more


def test_a_failure_is_a_sentence_and_an_exit_code() -> None:
    environment = plain_environment(DATABANK_URL="http://localhost:9", DATABANK_TOKEN="t")
    answer = run_command("balance", environment=environment)
    assert answer.returncode == 5
    assert "databank health http://localhost:9" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("service", ["broker", "catalog", "clearing", "connector"])
def test_production_refuses_to_make_secrets_up(service: str, tmp_path: Path) -> None:
    environment = plain_environment(**{f"DATABANK_{service.upper()}_ENV": "production"})
    options = ("--port", str(free_port()), "--data-dir", str(tmp_path))
    answer = run_command(service, *options, environment=environment)
    assert answer.returncode == 2
    assert "admin_token_file" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = run_command("broker", "--port", port, "--data-dir", str(tmp_path))
    assert answer.returncode == 1
    assert port in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", [("up",), ("demo", "--keep")])
def test_a_taken_port_of_the_whole_bank_is_told_with_the_way_out(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        folder = ("--data-dir", str(tmp_path)) if command == ("up",) else ()
        answer = run_command(*command, *folder, "--first-port", port)
    assert answer.returncode == 1
    assert port in answer.stderr
    assert "--first-port" in answer.stderr
