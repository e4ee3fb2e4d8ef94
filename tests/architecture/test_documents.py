"""What the documents promise about the code, and the code about the documents."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from databank.kit.settings import ServiceSettings
from schemas.wire import Text
from tests.architecture.sources import ROOT, SERVICES, tracked
from tools import make_docs

DECISIONS: Final = ROOT / "docs" / "decisions"
PARTS: Final = ("Context", "Decision", "Consequences", "Alternatives", "Enforced by")
WORDS: Final = {
    "participant": "참여자",
    "dataset": "데이터셋",
    "offer": "제안",
    "agreement": "합의",
    "negotiation": "협상",
    "transfer process": "전송",
    "entitlement": "이용권",
    "usage record": "사용 기록",
    "charge": "청구",
    "account": "계정",
    "posting": "분개",
    "entry": "전표",
    "statement": "명세서",
    "receipt": "영수증",
    "deposit": "입금",
    "balance": "잔액",
    "passbook": "통장",
}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return make_docs.documents()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_generated_documents_are_current(made: dict[str, str]) -> None:
    stale = [
        name for name, text in made.items() if not Path(ROOT, name).exists() or read(name) != text
    ]
    assert stale == [], "run make docs"


def test_every_problem_is_complete_and_documented(made: dict[str, str]) -> None:
    document = made["docs/problems.md"]
    for problem in make_docs.problems():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", problem.slug), problem
        assert isinstance(problem.title, Text), problem
        assert problem.title.ko, problem
        assert re.search("[가-힣]", problem.title.ko), problem
        assert problem.title.en, problem
        assert 400 <= problem.status <= 599, problem
        assert problem.__doc__, problem
        assert f"| `{problem.slug}` |" in document


def test_a_slug_means_one_thing() -> None:
    make_docs.import_everything()
    meanings: dict[str, set[tuple[int, str]]] = {}
    for problem in make_docs.problems():
        meanings.setdefault(problem.slug, set()).add((problem.status, problem.title.en))
    assert {slug: found for slug, found in meanings.items() if len(found) > 1} == {}


def test_every_setting_is_described_and_frozen() -> None:
    found = make_docs.settings_classes()
    assert [service for service, _ in found] == list(SERVICES)
    all_services: list[tuple[str, type[ServiceSettings]]] = [("all", ServiceSettings)]
    for service, settings in all_services + found:
        assert settings.model_config.get("frozen"), service
        for name, field in settings.model_fields.items():
            assert field.description, f"{service}: {name}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_a_service_has_its_prefix(service: str) -> None:
    [settings] = [cls for name, cls in make_docs.settings_classes() if name == service]
    assert settings.model_config.get("env_prefix") == f"DATABANK_{service.upper()}_"


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_of_the_architecture_is_served(made: dict[str, str], service: str) -> None:
    served = set(json.loads(made[f"docs/openapi/{service}.json"])["paths"])
    assert served >= {"/healthz", "/readyz"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_is_described_once(made: dict[str, str], service: str) -> None:
    paths = json.loads(made[f"docs/openapi/{service}.json"])["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert [op["operationId"] for op in operations if not op.get("summary")] == []
    count = Counter(op["operationId"] for op in operations)
    assert [name for name, times in count.items() if times > 1] == []


def test_decisions_are_numbered_without_gaps_and_indexed() -> None:
    files = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    assert [name[:4] for name in files] == [f"{n:04d}" for n in range(1, len(files) + 1)]
    index = read("docs/decisions/README.md")
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+?)\) \| (.+?) \|", index, re.MULTILINE)
    titles = [_title(DECISIONS / name) for name in files]
    expected = [(name[:4], name, title) for name, title in zip(files, titles, strict=True)]
    assert listed == expected


def _title(path: Path) -> str:
    found = re.match(r"# \d{4}\. (.+)\n", path.read_text(encoding="utf-8"))
    assert found, f"{path.name} has no title"
    return found[1]


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_has_every_part(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.name[:4]}. ")
    assert re.search(
        r"^Status: (accepted|superseded by \d{4}) · Area: .+ · Date: \d{4}-\d\d-\d\d$",
        text,
        re.MULTILINE,
    )
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(PARTS)


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_what_a_decision_names_exists(path: Path) -> None:
    known = set(tracked()) | {str(Path(name).parent) for name in tracked()}
    named = re.findall(r"`([a-z_]+/[a-zA-Z0-9_/.-]+)`", path.read_text(encoding="utf-8"))
    missing = [name for name in named if name.rstrip("/") not in known]
    assert missing == []


def test_the_words_are_complete_and_mean_one_thing() -> None:
    rows = re.findall(r"^\| ([a-z /-]+?) \| .+? \| (.+?) \|", read("docs/words.md"), re.MULTILINE)
    labels = dict(rows)
    assert len(labels) == len(rows), "a word stands twice"
    assert {word: labels.get(word) for word in WORDS} == WORDS


@pytest.mark.parametrize("name", [name for name in tracked() if name.endswith(".md")])
def test_links_between_documents_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(name))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (folder / target).exists()] == []
