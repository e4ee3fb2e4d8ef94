"""What a search found, as a list that notebooks show as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from databank.client.cost import html_table
from databank.client.ref import Ref
from schemas.dataset import Listing
from schemas.ids import AgreementId
from schemas.price import price_sentence
from schemas.terms import from_policy, sentences

SAMPLE_ROWS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset and the agreement that we hold for it, if any.

    One that is not listed any more is told as it was agreed.
    """

    listing: Listing
    agreement_id: AgreementId | None = None
    is_listed: bool = True

    @property
    def ref(self) -> Ref:
        """The name to use in SQL."""
        return Ref(self.listing.provider_handle, self.listing.dataset.name)

    def price(self, language: str = "ko") -> str:
        """Return the price in words."""
        return price_sentence(self.listing.plan).in_language(language)

    def terms(self, language: str = "ko") -> list[tuple[str, bool]]:
        """Return each term in words, and whether it is enforced technically."""
        said = sentences(*from_policy(self.listing.policy))
        return [(sentence.text.in_language(language), sentence.is_enforced) for sentence in said]

    def sample(self) -> str:
        """Return the first rows that the supplier shows, in one line."""
        rows = self.listing.dataset.sample[:SAMPLE_ROWS_SHOWN]
        return " / ".join(", ".join(map(str, row)) for row in rows)

    def __repr__(self) -> str:
        dataset = self.listing.dataset
        state = "합의 있음" if self.agreement_id else "합의 없음"
        return (
            f"{self.ref}  {dataset.title.ko} · {self.listing.provider_name} · "
            f"{dataset.rows_count:,}행 · {self.price()} · {state}"
        )

    def _repr_html_(self) -> str:
        return Listings([self])._repr_html_()


class Listings(Sequence[Found]):
    """Found datasets, best first."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._found = tuple(found)

    @overload
    def __getitem__(self, index: int) -> Found: ...
    @overload
    def __getitem__(self, index: slice) -> Listings: ...
    def __getitem__(self, index: int | slice) -> Found | Listings:
        """Return one, or a part of the list."""
        if isinstance(index, slice):
            return Listings(self._found[index])
        return self._found[index]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._found)) or "찾은 데이터셋이 없습니다"

    def _repr_html_(self) -> str:
        heads = ("이름", "제목", "공급기업", "행", "요금", "표본", "합의")
        rows: list[tuple[str, ...]] = [
            (
                str(found.ref),
                found.listing.dataset.title.ko,
                found.listing.provider_name,
                f"{found.listing.dataset.rows_count:,}",
                found.price(),
                found.sample(),
                "있음" if found.agreement_id else "없음",
            )
            for found in self
        ]
        return html_table(heads, rows, caption=f"데이터셋 {len(self)}개")
