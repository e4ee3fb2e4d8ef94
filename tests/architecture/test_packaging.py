"""What the wheel holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT, SERVICES, tracked

DIST_INFO = "industrial_data_bank-0.1.0.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [path] = Path(folder).glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_the_wheel_holds_exactly_the_six_packages(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist()} == {*PACKAGES, DIST_INFO}


def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    ours = {name for name in tracked() if name.split("/")[0] in PACKAGES}
    assert ours - set(wheel.namelist()) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_brings_its_migrations(wheel: zipfile.ZipFile, service: str) -> None:
    names = [name for name in wheel.namelist() if name.startswith(f"{service}/migrations/")]
    assert f"{service}/migrations/env.py" in names
    assert [name for name in names if "/versions/0001" in name]


def test_the_wheel_brings_the_licence_and_one_command(wheel: zipfile.ZipFile) -> None:
    assert f"{DIST_INFO}/licenses/LICENSE" in wheel.namelist()
    entry_points = wheel.read(f"{DIST_INFO}/entry_points.txt").decode()
    assert entry_points.split() == ["[console_scripts]", "databank", "=", "databank.cli:main"]
