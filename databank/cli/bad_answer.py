"""The error of options and answers at the terminal."""

from __future__ import annotations

from schemas.problem import InvalidRequestError
from schemas.wire import Text


class BadAnswerError(InvalidRequestError):
    """An option or an answer is not one of the choices."""

    slug = "bad-answer"
    title = Text(ko="고를 수 없는 값입니다", en="Not one of the choices")
