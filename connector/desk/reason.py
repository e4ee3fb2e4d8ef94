"""The form of a reason, to refuse or to end something: a code and, if wanted, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from connector.desk.frame import SentForm
from connector.desk.labels import WORDS
from schemas.refusal import BY_PEOPLE, RefusalCode
from schemas.wire import Text

WORDS_CHARS_MAX: Final = 500  # of EndRequest and NegotiationAnswer


@dataclass(frozen=True, slots=True)
class ReasonForm:
    """What stands in the form, and what is wrong with it."""

    code: str = ""
    words: str = ""
    error: Text | None = None

    @classmethod
    def of(cls, sent: SentForm, error: Text | None = None) -> ReasonForm:
        """Return the form as it was sent."""
        return cls(sent.text("code"), sent.text("words"), error)


class Reason(NamedTuple):
    """Why something is ended; the other side sees both."""

    code: RefusalCode
    words: str | None


class ReasonError(Exception):
    """The form cannot be taken; ``form`` says why."""

    def __init__(self, form: ReasonForm) -> None:
        super().__init__(form.error.en if form.error else "")
        self.form = form


def read_reason(sent: SentForm) -> Reason:
    """Read a reason.

    Raises:
        ReasonError: No reason that people may choose, or too many words.
    """
    chosen = next((code for code in BY_PEOPLE if code.value == sent.text("code")), None)
    words = sent.text("words")
    if chosen is None:
        raise ReasonError(ReasonForm.of(sent, WORDS["choose_reason"]))
    if len(words) > WORDS_CHARS_MAX:
        raise ReasonError(ReasonForm.of(sent, WORDS["words_too_long"]))
    return Reason(chosen, words or None)
