"""The runner of the official kit: what it tells the kit, and how it reads the kit's log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import plain_environment
from tests.tck.configuration import properties, to_text
from tests.tck.process import UnderTest
from tests.tck.verdict import read_verdict


class Known(UnderTest):
    """A connector that need not run to be named."""

    @property
    def did(self) -> str:
        return "did:web:127.0.0.1%3A1"


def log(passed: int, failed: int) -> str:
    return f"""
    Started: CN:01-01
    SUCCESSFUL: CN:01-01
    Passed tests: {passed}
    Failed tests: {failed}
    Test run complete
    """


@pytest.mark.parametrize(
    ("text", "is_conformant"),
    [
        (log(65, 0), True),
        (log(64, 0), False),
        (log(64, 1), False),
        (log(65, 2), False),
        ("SUCCESSFUL: CN:01-01\nException in thread main", False),
        ("", False),
    ],
)
def test_only_a_log_that_counts_all_tests_is_a_pass(text: str, *, is_conformant: bool) -> None:
    assert read_verdict(text).is_conformant is is_conformant


def test_what_the_kit_says_itself_is_repeated() -> None:
    text = "noise\nFAILED: CN:03-04\n  org.opentest4j...\nPassed tests: 64\nFailed tests: 1\n"
    said = ("FAILED: CN:03-04", "Passed tests: 64", "Failed tests: 1")
    assert read_verdict(text).said == said


def test_every_test_of_the_kit_is_told_its_ids() -> None:
    under_test = Known("http://127.0.0.1:1", Path())
    told = properties(under_test, kit_url="http://127.0.0.1:2")
    text = to_text(told)
    assert "dataspacetck.port=2\n" in text
    assert "CN_01_02_OFFERID=CD123:ACN0102:456\n" in text
    assert "CN_C_03_06_DATASETID=ACNC0306\n" in text
    assert "TP_02_05_AGREEMENTID=ATP0205\n" in text
    assert "TP_C_01_04_FORMAT=HttpData-PULL\n" in text
    tests = {name.rpartition("_")[0] for name in told if name.startswith(("C", "T"))}
    assert len(tests) == 64  # all but that of the version document


def test_without_java_nothing_is_tested_and_that_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.tck"]
    for environment, code in (({}, 0), ({"CI": "true"}, 1)):
        given = {**plain_environment(PATH=str(tmp_path)), "CI": "", **environment}
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        assert (done.returncode, "nothing tested, java and mvn" in done.stdout) == (code, True)
