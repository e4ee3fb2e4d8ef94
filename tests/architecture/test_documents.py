"""What the documents promise about the code, and the code about the documents."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import typer

from databank.cli.program import build, read_common_options
from databank.kit.settings import ServiceSettings
from schemas.wire import Text
from tests.architecture.sources import ROOT, SERVICES, Source, product, sources_of_tests, tracked
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
INTERFACES: Final = (
    "catalog/web/",
    "connector/desk/",
    "databank/",
)  # whose labels are those of docs/words.md


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


def routes_of_architecture(service: str) -> set[str]:
    """Return the routes that stand in a service's section, and before the first, of the page."""
    common, *sections = re.split(r"^### ", read("docs/architecture.md"), flags=re.MULTILINE)
    [section] = [text for text in sections if text.startswith(f"{service} ")]
    own = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    shared = common[common.index("## Services and routes") :]
    found = re.findall(r"`((?:GET|POST|PATCH|PUT|DELETE) /[^`?]*)", shared + own)
    return {re.sub(r"{\w+}", "{}", route) for route in found}


@pytest.mark.parametrize("service", SERVICES)
def test_the_architecture_names_every_route_and_no_other(
    made: dict[str, str], service: str
) -> None:
    paths = json.loads(made[f"docs/openapi/{service}.json"])["paths"]
    served = {
        f"{method.upper()} {re.sub(r'{[^}]+}', '{}', path)}"
        for path, operations in paths.items()
        for method in operations
    }
    named = routes_of_architecture(service)
    families = tuple(route[:-1] for route in named if route.endswith("…"))
    assert {r for r in served if r not in named and not r.startswith(families)} == set()
    assert {r for r in named if not r.endswith("…")} - served == set()
    assert [f for f in families if not any(r.startswith(f) for r in served)] == []


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


def evidence(path: Path) -> tuple[set[str], set[str]]:
    """Return the tests and the import contracts that a decision says it is enforced by."""
    text = path.read_text(encoding="utf-8").split("## Enforced by")[1]
    contracts = re.findall(r"contracts? ((?:`[a-z-]+`(?:, | and )?)+)", text)
    return set(re.findall(r"`(test_\w+)`", text)), set(
        re.findall(r"`([\w-]+)`", " ".join(contracts))
    )


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_what_enforces_a_decision_exists(path: Path) -> None:
    tests = {
        node.name
        for source in sources_of_tests()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef)
    }
    contracts = set(re.findall(r'^id = "(.+)"$', read("pyproject.toml"), re.MULTILINE))
    named_tests, named_contracts = evidence(path)
    assert named_tests | named_contracts, "nothing is named"
    assert named_tests - tests == set()
    assert named_contracts - contracts == set()


class Label(NamedTuple):
    """A text in both languages somewhere in the product's interfaces."""

    place: str
    ko: str
    en: str


def rows_of_words() -> list[tuple[str, str, str]]:
    """Return each word with its Korean label and its English ones."""
    row = r"^\| ([a-z /-]+?) \| .+? \| (.+?) \| (.+?) \| .+? \|$"
    return re.findall(row, read("docs/words.md"), re.MULTILINE)


def test_the_words_are_complete_and_mean_one_thing() -> None:
    rows = rows_of_words()
    korean = {word: ko for word, ko, _ in rows}
    assert len(korean) == len(rows), "a word stands twice"
    assert len(set(korean.values())) == len(rows), "a Korean label stands for two words"
    english = [label for _, _, labels in rows for label in labels.split(", ")]
    assert len(set(english)) == len(english), "an English label stands for two words"
    assert {word: korean.get(word) for word in WORDS} == WORDS


def labels_in(source: Source) -> Iterator[Label]:
    """Yield every Korean text of a module with the English one beside it."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Tuple):
            pair = node.elts
        elif isinstance(node, ast.Call):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            pair = [named["ko"], named["en"]] if {"ko", "en"} <= set(named) else node.args
        else:
            continue
        texts = [part.value for part in pair if isinstance(part, ast.Constant)]
        if len(texts) == len(pair) == 2 and all(isinstance(text, str) for text in texts):
            ko, en = (str(text).strip(" :") for text in texts)
            if re.search("[가-힣]", ko) and not re.search("[가-힣]", en):
                yield Label(f"{source.name}:{node.lineno}", ko, en.casefold())


def test_the_interfaces_call_things_by_the_words() -> None:
    english_of = {ko: set(labels.split(", ")) for _, ko, labels in rows_of_words()}
    korean_of = {en: ko for ko, labels in english_of.items() for en in labels}
    interfaces = [s for s in product() if s.name.startswith(INTERFACES)]
    shown = [label for source in interfaces for label in labels_in(source)]
    of_words = [label for label in shown if label.ko in english_of or label.en in korean_of]
    assert len({label.ko for label in of_words}) > 15, "this test looks in the wrong places"
    wrong = [label for label in of_words if label.en not in english_of.get(label.ko, set())]
    assert wrong == []


GUIDES: Final = [name for name in tracked() if name.startswith(("README", "docs/guides/"))]


def commands_in(name: str) -> Iterator[list[str]]:
    """Yield the arguments of each ``databank`` command that a document tells people to run."""
    for block in re.findall(r"^```(?:sh|console)\n(.+?)^```", read(name), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^(?:\$ )?databank (.+)$", block, re.MULTILINE):
            yield shlex.split(line.removesuffix(" &"), comments=True)


@pytest.mark.parametrize("name", GUIDES)
def test_the_commands_of_the_guides_exist(name: str) -> None:
    found = list(commands_in(name))
    assert found, "no command is told"
    for arguments in found:
        surface, rest = read_common_options(arguments, {})
        command: Any = typer.main.get_command(build(surface))
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given - known == set(), f"databank {shlex.join(arguments)}"


@pytest.mark.parametrize("name", [name for name in tracked() if name.endswith(".md")])
def test_links_between_documents_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(name))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (folder / target).exists()] == []
