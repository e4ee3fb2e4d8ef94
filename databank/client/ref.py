"""What a dataset is called in SQL; apart from the planner, whose parser takes long to load."""

from __future__ import annotations

from dataclasses import dataclass


class SqlError(ValueError):
    """The SQL is not one query over datasets."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A dataset as SQL calls it."""

    handle: str
    name: str

    def __str__(self) -> str:
        return f"{self.handle}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read ``handle.name``.

        Raises:
            SqlError: Not of that form.
        """
        handle, dot, name = text.strip().lower().partition(".")
        if not (dot and handle.isidentifier() and name.isidentifier()):
            raise SqlError(f"데이터셋은 '회사.이름'으로 적습니다 (write handle.name): {text!r}")
        return cls(handle, name)
