"""The container image and the compose file hold every hardening rule."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

import jsonschema_rs
import pytest
import yaml

from tests.architecture.sources import ROOT, SERVICES, tracked
from tools import make_docs

SCHEMA: Final = ROOT / "tests" / "support" / "compose-spec" / "compose-spec.json"
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: Final = cast(
    "dict[str, Any]", yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
)
CONTAINERS: Final = cast("dict[str, dict[str, Any]]", COMPOSE["services"])
OURS: Final = {name: body for name, body in CONTAINERS.items() if name != "postgres"}
MAY_PUBLISH: Final = {"catalog", "supplier", "buyer"}
each_container = pytest.mark.parametrize("name", CONTAINERS)
each_of_ours = pytest.mark.parametrize("name", OURS)


def instructions(keyword: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{keyword} (.+)$", joined, re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [str(hadolint), "--failure-threshold", "style", str(ROOT / "Dockerfile")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_user_without_rights() -> None:
    assert instructions("USER") == ["10001:10001"]
    last_stage = DOCKERFILE.rindex("\nFROM ")
    assert DOCKERFILE.index("\nUSER ") > last_stage


def test_the_image_is_pinned_and_leaves_its_tools_behind() -> None:
    bases = instructions("FROM")
    assert len(bases) == 2
    assert instructions("ARG")[0] == "PYTHON=3.11-slim-bookworm"
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert "pip" not in final
    assert "apt" not in final
    assert re.findall(r"^COPY (.+)$", final, re.MULTILINE) == [
        "--from=build /opt/databank /opt/databank"
    ]


def test_the_image_installs_only_what_the_locks_say() -> None:
    [install] = [run for run in instructions("RUN") if "sync" in run]
    assert install.count("--require-hashes") == 2
    assert "curl" not in DOCKERFILE
    assert "ADD " not in DOCKERFILE


def test_the_image_starts_our_command_and_asks_for_its_health() -> None:
    assert instructions("ENTRYPOINT") == ['["databank"]']
    assert instructions("HEALTHCHECK")
    assert '"databank.kit.healthcheck"' in DOCKERFILE
    assert instructions("VOLUME") == ['["/data"]']


def test_the_image_carries_its_labels() -> None:
    for label in ("title", "description", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in DOCKERFILE


def test_the_build_sees_only_what_the_wheel_is_made_of() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert not {"secrets", ".git", "var", "tests"} & let_in
    top = {name.split("/")[0] for name in tracked()}
    assert let_in <= top, "a file the build needs is gone"


def test_the_compose_file_follows_the_specification() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema_rs.Draft7Validator(schema)
    assert [str(error.message) for error in validator.iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"broker": {"imagine": "x"}}}
    assert not validator.is_valid(broken), "the schema refuses nothing"


@each_container
def test_a_container_may_do_nothing_it_does_not_need(name: str) -> None:
    container = CONTAINERS[name]
    assert container["cap_drop"] == ["ALL"]
    assert "cap_add" not in container
    assert "no-new-privileges:true" in container["security_opt"]
    assert container["read_only"] is True
    assert container["init"] is True
    assert not container.get("privileged")
    assert "network_mode" not in container
    assert "pid" not in container


@each_container
def test_a_container_is_bounded(name: str) -> None:
    container = CONTAINERS[name]
    assert container["pids_limit"] <= 512
    assert container["mem_limit"]
    assert container["logging"]["options"]["max-size"]


@each_container
def test_what_a_container_may_write_is_a_volume_or_in_memory(name: str) -> None:
    container = CONTAINERS[name]
    assert any(mount.startswith("/tmp:") for mount in container["tmpfs"])
    for mount in container["volumes"]:
        source, _, rest = mount.partition(":")
        assert source in COMPOSE["volumes"] or rest.endswith(":ro")
        assert "docker.sock" not in mount


@each_container
def test_an_image_has_an_exact_version(name: str) -> None:
    tag = CONTAINERS[name]["image"].partition(":")[2]
    assert re.match(r"\d+\.\d+", tag)


@each_container
def test_secrets_come_by_file(name: str) -> None:
    container = CONTAINERS[name]
    for variable, value in container["environment"].items():
        if re.search("PASSWORD|TOKEN|SECRET|KEY", variable):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in container["secrets"]
        assert not re.search(r"://[^/@]*:[^/@]+@", str(value)), "a password in a URL"


@each_container
def test_a_container_gets_no_secret_it_does_not_use(name: str) -> None:
    used = {str(value).rpartition("/")[2] for value in CONTAINERS[name]["environment"].values()}
    if name == "postgres":
        used |= {f"{service}-database-password" for service in ("broker", "catalog", "clearing")}
    assert set(CONTAINERS[name]["secrets"]) <= used


def test_every_secret_is_a_file_that_make_secrets_makes(tmp_path: Path) -> None:
    command = [str(ROOT / "tools" / "make-secrets"), str(tmp_path / "secrets")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    made = {
        path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()
    }
    assert {f"./secrets/{name}" for name in made} == {
        secret["file"] for secret in COMPOSE["secrets"].values()
    }
    assert set(COMPOSE["secrets"]) == set(made)
    assert len(set(made.values())) == len(made)
    assert min(len(secret) for secret in made.values()) >= 43
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_only_the_database_and_its_users_share_its_network() -> None:
    on_db = {name for name, body in CONTAINERS.items() if "db" in body["networks"]}
    assert on_db == {"postgres", "broker", "catalog", "clearing"}
    assert CONTAINERS["postgres"]["networks"] == ["db"]
    assert COMPOSE["networks"]["db"]["internal"]
    assert COMPOSE["networks"]["control"]["internal"]


def test_ports_are_published_on_this_machine_alone() -> None:
    published = {name: body["ports"] for name, body in CONTAINERS.items() if "ports" in body}
    assert set(published) == MAY_PUBLISH
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert all("edge" in CONTAINERS[name]["networks"] for name in published)


@each_of_ours
def test_a_container_starts_after_what_it_needs_is_healthy(name: str) -> None:
    needed = CONTAINERS[name]["depends_on"]
    assert all(how == {"condition": "service_healthy"} for how in needed.values())
    assert set(needed) <= set(CONTAINERS)


@each_of_ours
def test_a_container_is_asked_for_its_health_where_it_listens(name: str) -> None:
    environment = OURS[name]["environment"]
    [port] = [value for key, value in environment.items() if key.endswith("_PORT")]
    [public] = [value for key, value in environment.items() if key.endswith("_PUBLIC_URL")]
    assert environment["DATABANK_HEALTH_URL"] == f"http://127.0.0.1:{port}/readyz"
    assert public == f"http://{name}:{port}"


@each_of_ours
def test_a_container_runs_a_service_with_settings_it_knows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [service] = OURS[name]["command"]
    assert service in SERVICES
    [settings] = [cls for known, cls in make_docs.settings_classes() if known == service]
    prefix = f"DATABANK_{service.upper()}_"
    environment = dict(OURS[name]["environment"])
    assert environment.pop("DATABANK_HEALTH_URL")
    for variable, value in environment.items():
        assert variable.startswith(prefix)
        assert variable.removeprefix(prefix).lower().split("__")[0] in settings.model_fields
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))
        if value.startswith("/run/secrets/"):
            (tmp_path / value.rpartition("/")[2]).write_text("s3cret" * 8)
    read = settings()
    assert read.env == "production"
    assert str(read.data_dir) == "/data"
    if "database_url" in read.model_fields_set:
        assert (
            read.database() == f"postgresql+psycopg://{service}:{'s3cret' * 8}@postgres/{service}"
        )
