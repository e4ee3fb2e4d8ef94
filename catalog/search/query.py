"""Reads what people type into a search box. Pure.

A query is groups that must all match; a group is alternatives (a word and its other names);
an alternative is tokens that must all match. When nothing matches all groups, any token counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from catalog.index.words import PHRASE_WORDS_MAX, other_names, tokens, words

QUERY_CHARS_MAX: Final = 200
WORDS_MAX: Final = 12
TOKENS_MAX: Final = 96

Alternative: TypeAlias = tuple[str, ...]
Group: TypeAlias = tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; no groups means that everything matches."""

    groups: tuple[Group, ...]

    @property
    def any_token(self) -> tuple[str, ...]:
        """All tokens of all alternatives, each once."""
        found = (token for group in self.groups for option in group for token in option)
        return tuple(dict.fromkeys(found))[:TOKENS_MAX]


def parse(text: str) -> Query:
    """Read a query; the longest known phrase wins, so ``탄소 발자국`` is one thing."""
    return Query(tuple(group for group in _groups(words(text[:QUERY_CHARS_MAX])[:WORDS_MAX])))


def _groups(typed: list[str]) -> Iterator[Group]:
    start = 0
    while start < len(typed):
        length, names = _longest_phrase(typed, start)
        start += length
        options = tuple(dict.fromkeys(tuple(dict.fromkeys(tokens(name))) for name in names))
        if any(options):
            yield tuple(option for option in options if option)


def _longest_phrase(typed: list[str], start: int) -> tuple[int, tuple[str, ...]]:
    for length in range(min(PHRASE_WORDS_MAX, len(typed) - start), 0, -1):
        if names := other_names("".join(typed[start : start + length])):
            return length, names
    return 1, (typed[start],)
