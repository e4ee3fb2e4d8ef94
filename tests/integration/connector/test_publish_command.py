"""``databank publish`` as a supplier meets it: options first, wrong answers again, consent."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from databank.cli.program import run
from tests.support.connectors import Registry, Running, connector

PEOPLE = "휴대전화,부서\n010-1234-5678,생산\n010-2345-6789,품질\n"
PLAIN = "부서,수량\n생산,1\n품질,2\n"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Standard input with a person in front of it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with connector(tmp_path_factory.mktemp("company"), Registry(), "company") as running:
        yield running


Command = Callable[..., Outcome]


@pytest.fixture
def databank(
    company: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run one command against the company; ``typed`` is what a person answers."""
    token = company.app.state.context.admin_token
    environment = {"DATABANK_URL": company.url, "DATABANK_TOKEN": token, "LANG": "ko_KR.UTF-8"}

    def command(*arguments: str, typed: str | None = None) -> Outcome:
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdin", io.StringIO() if typed is None else Terminal(typed))
            code = run(arguments, environment)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return command


def write(folder: Path, name: str, content: str) -> str:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return str(path)


def own(company: Running) -> dict[str, Any]:
    answer = company.manage("GET", "/publications").json()["publications"]
    return {publication["dataset"]["name"]: publication for publication in answer}


def uploads(company: Running) -> set[Path]:
    return set((company.runtime.settings.data_dir / "uploads").iterdir())


def test_yes_does_not_answer_for_personal_data(
    company: Running, databank: Command, tmp_path: Path
) -> None:
    file = write(tmp_path, "people.csv", PEOPLE)
    refused = databank("publish", file, "--yes")
    assert refused.code == 1
    assert "휴대전화" in refused.err
    assert "--allow-personal" in refused.err
    assert "people" not in own(company)
    public = ("--sensitivity", "부서=public", "--sensitivity", "휴대전화=public")
    options = ("--price", "free", "--allow-personal", *public)
    done = databank("publish", file, "--yes", *options)
    assert done.code == 0, done.err
    assert "표본 2행(열 부서)이 누구에게나 공개됩니다" in done.err
    assert own(company)["people"]["dataset"]["sample"] == [["생산"], ["품질"]]


def test_what_is_sold_by_query_shows_nothing_for_free(
    company: Running, databank: Command, tmp_path: Path
) -> None:
    done = databank(
        "publish", write(tmp_path, "sold.csv", PLAIN), "-y", "--sensitivity", "부서=public"
    )
    assert done.code == 0, done.err
    assert "표본은 공개되지 않습니다" in done.err
    assert own(company)["sold"]["dataset"]["sample"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        ("--price", "bogus"),
        ("--name", "Not A Name"),
        ("--name", "order"),
        ("--title", "  "),
        ("--template", "nothing"),
        ("--domain", "music"),
        ("--type", "부서=colour"),
        ("--term", "rows=many"),
        ("--term", "nothing=1"),
        ("--term", "where=부서~생산"),
        ("--keyword", "x" * 60),
    ],
)
def test_a_wrong_option_is_refused_before_the_file_is_sent(
    wrong: tuple[str, str], company: Running, databank: Command, tmp_path: Path
) -> None:
    before = uploads(company)
    answer = databank("publish", write(tmp_path, "wrong.csv", PLAIN), "-y", *wrong)
    assert (answer.code, uploads(company) - before) == (1, set())
    assert "Traceback" not in answer.err


def test_a_wrong_answer_is_asked_for_again(
    company: Running, databank: Command, tmp_path: Path
) -> None:
    answers = ["order", "asked", " ", "물은 것", "music", "carbon", "", "", "bogus", "query=7"]
    typed = "".join(f"{answer}\n" for answer in answers)
    done = databank("publish", write(tmp_path, "questions.csv", PLAIN), typed=typed)
    assert done.code == 0, done.err
    publication = own(company)["asked"]
    assert publication["dataset"]["title"]["ko"] == "물은 것"
    assert publication["dataset"]["domain"] == "carbon"
    assert publication["plan"]["components"][0]["amount_micro"] == "7000000"
    assert "요금 'bogus'" in done.err


def test_korean_file_names_get_names_of_their_own(
    company: Running, databank: Command, tmp_path: Path
) -> None:
    file = write(tmp_path, "공정.csv", PLAIN)
    names = []
    for _ in range(2):
        done = databank("publish", file, "-y", "--json")
        assert done.code == 0, done.err
        names.append(json.loads(done.out)["dataset"]["name"])
    assert [name.rpartition("_")[2] for name in names] == ["1", "2"]
    assert set(names) <= set(own(company))


def test_a_price_is_revised_and_the_withdrawn_name_leads_on(
    company: Running, databank: Command, tmp_path: Path
) -> None:
    file = write(tmp_path, "first.csv", PLAIN)
    assert databank("publish", file, "-y").code == 0
    before = own(company)["first"]
    assert databank("revise", "first").code == 1
    assert databank("revise", "first", "--price", "bogus").code == 1
    done = databank("revise", "first", "--price", "row=2", "--title", "새 제목")
    assert done.code == 0, done.err
    assert "이미 맺은 합의는" in done.out
    after = own(company)["first"]
    assert after["offer_id"] != before["offer_id"]
    assert after["dataset"]["title"] == {"ko": "새 제목", "en": "새 제목"}
    assert after["plan"]["components"][0]["kind"] == "per_row"
    assert databank("unpublish", "first", "--yes").code == 0
    again = databank("publish", file, "-y")
    assert (again.code, "databank restore first" in again.err) == (1, True)


def test_single_terms_are_said_published_and_lifted_again(
    company: Running, databank: Command, tmp_path: Path
) -> None:
    file = write(tmp_path, "terms.csv", PLAIN)
    terms = ("columns=부서", "mask=부서:hash", "where=부서=생산|품질 and 수량>1", "rows=10")
    options = [word for term in (*terms, "bytes=1000", "royalty=5") for word in ("--term", term)]
    done = databank("publish", file, "-y", "--template", "quota", *options)
    assert done.code == 0, done.err
    for said in (
        "이 열만: 부서",
        "부서(가명)",
        "수량 > 1",
        "모두 10행까지",
        "모두 1,000바이트까지",
    ):
        assert said in done.out
    assert "질의 1,000건까지" in done.out  # of the template
    assert "수입의 5%를 공급기업에 냅니다 [계약으로만]" in done.out
    dataset = own(company)["terms"]["dataset"]
    assert [column["name"] for column in dataset["schema"]["columns"]] == ["부서"]
    assert dataset["rows_count"] == 1
    lifted = databank("revise", "terms", "--term", "columns=", "--term", "mask=")
    assert lifted.code == 0, lifted.err
    after = own(company)["terms"]
    assert len(after["dataset"]["schema"]["columns"]) == 2
    assert (after["terms"]["queries_max"], after["dataset"]["rows_count"]) == (1000, 1)
    unknown = databank("revise", "terms", "--term", "columns=없는열")
    assert (unknown.code, "없는열" in unknown.err) == (1, True)
