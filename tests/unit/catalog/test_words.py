from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from catalog.index.document import to_document
from catalog.index.store import tsvector
from catalog.index.words import SYNONYMS, TOKEN_CHARS_MAX, other_names, tokens
from catalog.search.model import Match, Place, read_cursor, write_cursor
from catalog.search.query import parse
from catalog.search.store import fts5, tsquery
from tests.support.listings import make_listing


def test_hangul_becomes_pairs_and_other_words_stay_whole() -> None:
    assert list(tokens("탄소배출량 kgCO2e, 2차전지")) == [
        *("탄소", "소배", "배출", "출량"),
        "kgco2e",
        *("2", "차전", "전지"),
    ]


def test_single_syllables_are_added_where_asked_for() -> None:
    assert list(tokens("철강", single_syllables=True)) == ["철강", "철", "강"]
    assert list(tokens("철")) == ["철"]


def test_full_width_and_decomposed_forms_are_the_same_words() -> None:
    assert list(tokens("ＣＢＡＭ 한글")) == ["cbam", "한글"]


@given(st.text())
def test_tokens_are_letters_and_digits_only(text: str) -> None:
    for token in tokens(text, single_syllables=True):
        assert token.isalnum()
        assert len(token) <= TOKEN_CHARS_MAX


@given(st.text(max_size=300))
def test_no_text_escapes_its_quotes_in_a_search(text: str) -> None:
    match = Match(parse(text))
    bare = set(fts5(match).replace("AND", "").replace("OR", ""))
    assert all(c.isalnum() or c in '"() ' for c in bare)
    assert all(c.isalnum() or c in "'()&| " for c in set(tsquery(match)))


def test_each_name_belongs_to_one_thing() -> None:
    names = [name for group in SYNONYMS for name in group]
    assert len(set(names)) == len(names)
    for group in SYNONYMS:
        for name in group:
            assert other_names("".join(tokens_glued(name))) == group


def tokens_glued(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def test_the_longest_known_phrase_is_one_thing() -> None:
    assert len(parse("탄소 발자국").groups) == 1
    assert len(parse("탄소 발전").groups) == 2


def test_a_long_title_stays_within_what_a_tsvector_holds() -> None:
    literal = tsvector(to_document(make_listing(1, "탄소 " * 5_000)))
    positions = [p for part in literal.split(" ") for p in part.partition(":")[2].split(",")]
    assert all(int(p.rstrip("A")) <= 16_383 for p in positions)
    assert max(part.count(",") for part in literal.split(" ")) < 255


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**62 - 1))
def test_a_cursor_reads_back_exactly(score: float, number: int) -> None:
    assert read_cursor(write_cursor(Place(score, number))) == Place(score, number)
