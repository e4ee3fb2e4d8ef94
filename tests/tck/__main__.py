"""Run the official kit: ``make tck``; the last lines are the kit's own.

Where Java or Maven is missing, nothing is tested: that is said, and is a failure under CI.
That Maven cannot fetch the kit is a failure everywhere. Jars and logs lie in ``build/tck``;
jars that are there already are not fetched again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.support.processes import free_port
from tests.support.shared import ROOT
from tests.tck.configuration import properties, to_text
from tests.tck.process import connector_under_test
from tests.tck.verdict import TESTS, read_verdict

FOLDER: Final = ROOT / "build" / "tck"
JARS: Final = FOLDER / "lib"
KIT: Final = "dsp-tck-1.0.1.jar"
MAIN: Final = "org.eclipse.dataspacetck.dsp.suite.DspTckSuite"
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
PAUSE_SECONDS: Final = 0.5
RUN_SECONDS_MAX: Final = 900


def main() -> int:
    """Return 0 if we pass, or if what the kit runs with is missing and this is not CI."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        print(f"TCK: nothing tested, {' and '.join(missing)} is missing: run tools/install-java")
        return 1 if os.environ.get("CI") else 0
    if not (JARS / KIT).exists() and not _fetch():
        print("TCK: nothing tested, Maven cannot fetch the kit that tests/tck/pom.xml names")
        return 1
    began = time.monotonic()
    verdict = read_verdict(_run())
    print("\n".join(verdict.said))
    print(f"TCK: {time.monotonic() - began:.0f} s, log in {FOLDER / 'tck.log'}")
    if not verdict.is_conformant:
        print(f"TCK: not {TESTS} passed and 0 failed")
        return 1
    return 0


def _fetch() -> bool:
    command = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never"]
    pom = str(Path(__file__).with_name("pom.xml"))
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={JARS}"]
    done = subprocess.run([*command, "--file", pom, COPY, *options], check=False)
    return done.returncode == 0


def _run() -> str:
    """Run the kit against a connector of its own; return the kit's log."""
    log = FOLDER / "tck.log"
    kit_url = f"http://127.0.0.1:{free_port()}"
    with (
        tempfile.TemporaryDirectory() as name,
        connector_under_test(
            Path(name), peer_url=kit_url, pause_seconds=PAUSE_SECONDS
        ) as under_test,
    ):
        config = Path(name) / "tck.properties"
        config.write_text(to_text(properties(under_test, kit_url=kit_url)), encoding="utf-8")
        command = ["java", "-cp", f"{JARS}/*", MAIN, "-config", str(config)]
        with log.open("wb") as out:
            try:
                subprocess.run(
                    command, stdout=out, stderr=out, check=False, timeout=RUN_SECONDS_MAX
                )
            except subprocess.TimeoutExpired:
                print(f"TCK: not finished after {RUN_SECONDS_MAX} s")
        shutil.copy(under_test.log, FOLDER / "connector.log")
    return log.read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
