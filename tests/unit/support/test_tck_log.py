"""The TCK's log is read right: its exit code says nothing."""

from __future__ import annotations

from tests.tck_dcp.__main__ import read_log

LOG = """\
Started: 5.1 Verifier should accept
\x1b[32mSUCCESSFUL: 5.1 Verifier should accept\x1b[0m
FAILED: 4.3.3 Verify invalid access token - jti
Passed tests: 1
Failed tests: 1
There were failing tests
"""


def test_a_log_is_read() -> None:
    outcome = read_log(LOG)
    assert outcome.passed == ["5.1 Verifier should accept"]
    assert outcome.failed == ["4.3.3 Verify invalid access token - jti"]
    assert outcome.summary == {"Passed": 1, "Failed": 1}


def test_a_log_without_results_counts_nothing() -> None:
    outcome = read_log("Exception in thread main")
    assert (outcome.passed, outcome.failed, outcome.summary) == ([], [], {})
