"""What a dataset is called in SQL; apart from the planner, whose parser takes long to load."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.problem import InvalidRequestError
from schemas.wire import Text


class SqlError(InvalidRequestError, ValueError):
    """The SQL is not one query over datasets that can be run."""

    slug = "bad-sql"
    title = Text(ko="SQL을 고쳐 주세요", en="Correct the SQL")


class UnknownColumnError(SqlError):
    """The query names a column that none of its datasets has; nothing was asked or paid."""

    slug = "unknown-column"
    title = Text(ko="없는 열입니다", en="No such column")


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
            raise SqlError(
                ko=f"{text!r}: 데이터셋은 '회사.이름'으로 적습니다. 예: hanbit.carbon",
                en=f"{text!r}: a dataset is written as handle.name, for example hanbit.carbon.",
            )
        return cls(handle, name)
