"""Run the DCP TCK and say what it counted: ``python -m tests.tck_dcp LIB_FOLDER``.

The TCK's exit code is always 0, so its log is read. Exit 1 if a test fails or none ran.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MAIN_CLASS: Final = "org.eclipse.dataspacetck.dcp.suite.DcpTckSuite"
SECONDS_MAX: Final = 600  # of one package
RESULT: Final = re.compile(r"\b(SUCCESSFUL|FAILED|ABORTED): (.+?)\s*$")
ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
SUMMARY: Final = re.compile(r"\b(Passed|Failed) tests: (\d+)")


@dataclass
class Outcome:
    """What one log says."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    summary: dict[str, int] = field(default_factory=dict)


def read_log(text: str) -> Outcome:
    """Return the results that a log of the TCK holds."""
    outcome = Outcome()
    for line in ANSI.sub("", text).splitlines():
        if found := RESULT.search(line):
            (outcome.passed if found[1] == "SUCCESSFUL" else outcome.failed).append(found[2])
        for name, count in SUMMARY.findall(line):
            outcome.summary[name] = int(count)
    return outcome


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def harness(callback: str) -> Iterator[dict[str, dict[str, str]]]:
    """Run the system under test in a process of its own; yield the TCK's properties."""
    command = [sys.executable, "-m", "tests.tck_dcp.harness", "--callback", callback]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        while line and not line.startswith("{"):
            line = process.stdout.readline()
        if not line:
            raise SystemExit("the system under test did not start")
        try:
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.wait(60)


def run_package(java: list[str], properties: Mapping[str, str], log: Path) -> Outcome:
    """Run one package of the TCK and keep its log."""
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as config:
        config.writelines(f"{name}={value}\n" for name, value in properties.items())
        config.flush()
        done = subprocess.run(
            [*java, MAIN_CLASS, "-config", config.name],
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    text = done.stdout + done.stderr
    log.write_text(text, encoding="utf-8")
    return read_log(text)


def main() -> int:
    """Run all packages; print counts and what does not pass."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lib", type=Path, help="folder with the TCK's jars")
    folder: Path = parser.parse_args().lib
    java = ["java", "-cp", f"{folder}/*"]
    callback = f"http://localhost:{free_port()}"
    outcomes: dict[str, Outcome] = {}
    with harness(callback) as by_package:
        for package, properties in by_package.items():
            log = folder.parent / f"{package}.log"
            outcomes[package] = run_package(java, properties, log)
    passed = sum(len(one.passed) for one in outcomes.values())
    failed = sum(len(one.failed) for one in outcomes.values())
    for package, outcome in outcomes.items():
        sys.stdout.write(f"{package}: the TCK says {outcome.summary or 'nothing'}\n")
        sys.stdout.writelines(f"  does not pass: {name}\n" for name in outcome.failed)
    sys.stdout.write(f"DCP TCK: {passed} passed, {failed} failed\n")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    raise SystemExit(main())
