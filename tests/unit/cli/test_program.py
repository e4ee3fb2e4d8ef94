"""The databank command as a person meets it: help, errors, exit codes, languages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from databank.cli.program import default_language, read_common_options, run
from databank.cli.surface import Surface

COMMANDS = (
    "connector broker catalog clearing up health login join publish publications unpublish "
    "restore revise search show negotiate agreements quote sql read decisions balance passbook "
    "statement demo operator"
)
NOBODY = {"DATABANK_URL": "http://localhost:9", "DATABANK_TOKEN": "t", "LANG": "ko_KR.UTF-8"}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def databank(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command in this process."""

    def command(*arguments: str, environment: dict[str, str] | None = None) -> Outcome:
        code = run(arguments, NOBODY if environment is None else environment)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return command


def test_help_lists_every_command(databank: Command) -> None:
    answer = databank("--help")
    assert answer.code == 0
    assert [name for name in COMMANDS.split() if f"  {name} " not in answer.out] == []


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_itself(command: str, databank: Command) -> None:
    answer = databank(command, "--help")
    assert answer.code == 0
    assert f"databank {command}" in answer.out


def test_help_follows_the_language(databank: Command) -> None:
    assert "데이터셋을 찾습니다" in databank("--help").out
    assert "Find datasets" in databank("--help", "--lang", "en").out
    assert "Find datasets" in databank("--help", environment={"LANG": "en_US.UTF-8"}).out


@pytest.mark.parametrize("command", [*COMMANDS.split(), "operator deposit"])
def test_english_help_begins_with_english(command: str, databank: Command) -> None:
    korean_first = re.compile(r"(?<![(/])\b[가-힣][^\n(]*\([A-Za-z]")
    assert not korean_first.search(databank(*command.split(), "--help", "--lang", "en").out)


def test_help_says_how_times_and_costs_are_meant(databank: Command) -> None:
    for language in ("ko", "en"):
        said = databank("sql", "--help", "--lang", language).out
        for word in ("UTC", "AT TIME ZONE 'Asia/Seoul'", "--budget", "--yes", "--json"):
            assert word in said


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "ko"),
        ({"LANG": "C.UTF-8"}, "ko"),
        ({"LANG": "en_GB"}, "en"),
        ({"LANG": "en_GB", "LC_ALL": "ko_KR.UTF-8"}, "ko"),
    ],
)
def test_korean_unless_the_locale_is_english(environment: dict[str, str], language: str) -> None:
    assert default_language(environment) == language


def test_common_options_stand_anywhere_before_a_double_dash() -> None:
    surface, rest = read_common_options(
        ["sql", "--json", "a.b", "--lang=en", "--connector", "http://c", "--", "--json"], {}
    )
    assert (surface.is_json, surface.language, surface.connector) == (True, "en", "http://c")
    assert rest == ["sql", "a.b", "--", "--json"]


def test_the_version_is_the_packages(databank: Command) -> None:
    assert databank("--version").out.strip() == "databank 0.1.0"


def test_without_a_connector_the_command_says_how_to_name_one(
    tmp_path: Path, databank: Command
) -> None:
    answer = databank("balance", environment={"HOME": str(tmp_path)})
    assert answer.code == 2
    assert "databank login" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["search", "탄소"], 5, "응답하지 않습니다"),
        (["health", "http://localhost:9"], 5, ""),
        (["sql", "nonsense", "SELECT 1"], 2, "회사.이름"),
        (["sql", "a.b", "DROP TABLE b"], 2, "SELECT"),
        (["balance", "--lang", "fr"], 2, "ko"),
        (["balance", "--lang"], 2, "--lang"),
        (["nonsense"], 2, "nonsense"),
        (["publish", "/no/such/file.csv"], 2, "file.csv"),
        (["join", "--brn", "1234567890", "--name", "x", "--handle", "x"], 1, "사업자등록번호"),
        (["login", "localhost:8401", "--token", "t"], 2, "http://가 빠졌습니다"),
        (["sql", "a.b", "SELECT 1 FROM b", "-o", "x.xlsx"], 1, ".parquet"),
        (["sql", "a.b", "SELECT 1 FROM b", "-o", "/no/such/x.csv"], 1, "/no/such"),
        (["read", "a.b", "-o", "/no/such/x.arrow"], 1, "/no/such"),
        (["read", "a.b", "-o", "x.csv"], 1, ".arrow"),
        (["operator", "participants", "--data-dir", "/no/such"], 1, "DATABANK_BROKER_TOKEN"),
        (["operator", "statements", "soon", "--data-dir", "/no/such"], 1, "2026-11"),
    ],
)
def test_failures_say_what_to_do_and_end_with_their_code(
    arguments: list[str], code: int, said: str, databank: Command
) -> None:
    answer = databank(*arguments)
    assert answer.code == code, answer.err
    assert said in answer.out + answer.err
    assert "Traceback" not in answer.err


def test_with_json_a_failure_is_json_too(databank: Command) -> None:
    answer = databank("balance", "--json")
    assert (answer.code, answer.out) == (5, "")
    assert json.loads(answer.err)["error"]["type"] == "urn:idb:problem:remote-unavailable"


def test_only_debug_shows_a_traceback(databank: Command) -> None:
    assert "Traceback" in databank("sql", "x", "SELECT 1", "--debug").err


def test_titles_of_others_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Surface(environment={}).table(None, ("[b]h[/b]",), [("[i]c[/i]",)], title="[red]회사[/]")
    said = capsys.readouterr().out
    for text in ("[b]h[/b]", "[i]c[/i]", "[red]회사[/]"):
        assert text in said


def test_json_is_json_whatever_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    Surface(environment={}, is_json=True).result({"x": float("nan")}, "")
    assert json.loads(capsys.readouterr().out) == {"x": "NaN"}
