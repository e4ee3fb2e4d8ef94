"""Whose deposit a credit is: booked only where it is certain, else only suggested.

What participants tell of themselves, such as an account number, proves nothing: anybody could tell
another's. So free text names a payer by business number alone, which the registry vouches for; a
debtor's account names one only together with its bank and the name in the registry.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clearing.bank.camt import Movement
from schemas.billing import BankAccount
from schemas.ids import InvalidBrnError, ParticipantId, parse_brn

_BRN: Final = re.compile(r"(?<![0-9-])[0-9]{3}-?[0-9]{2}-?[0-9]{5}(?![0-9-])")
_COMPANY: Final = re.compile(r"\s|\(주\)|주식회사")


@dataclass(frozen=True, slots=True)
class Payer:
    """A participant as a credit may name it; ``account`` is what it told of itself."""

    participant_id: ParticipantId
    name: str
    brn: str
    account: BankAccount | None


@dataclass(frozen=True, slots=True)
class Match:
    """Who may have paid; booked only if ``is_certain``."""

    participant_id: ParticipantId | None
    is_certain: bool = False


def match_payer(movement: Movement, payers: Iterable[Payer]) -> Match:
    """Return whose deposit a credit is.

    Certain is one registered business number in the text, and no other number of that form; or,
    without any, the one participant whose account, bank and registered name are the debtor's.
    """
    known = list(payers)
    said = set(_brns(movement.remittance))
    named = [each.participant_id for each in known if each.brn in said]
    owners = [each for each in known if _is_account(movement, each.account)]
    owner = owners[0] if len(owners) == 1 else None
    is_owner = owner is not None and _plain(owner.name) == _plain(movement.debtor_name or "")
    if said:
        is_other = is_owner and owner is not None and [owner.participant_id] != named
        only = named[0] if len(named) == 1 else None
        return Match(only, is_certain=only is not None and len(said) == 1 and not is_other)
    return Match(owner.participant_id if owner else None, is_certain=is_owner)


def _brns(text: str) -> Iterable[str]:
    for found in _BRN.findall(text):
        try:
            yield parse_brn(found)
        except InvalidBrnError:
            continue


def _is_account(movement: Movement, account: BankAccount | None) -> bool:
    if account is None or movement.debtor_account is None:
        return False
    number = re.sub(r"[\s-]", "", movement.debtor_account)
    return (account.bank, account.number) == (movement.debtor_bank, number)


def _plain(name: str) -> str:
    """Return a company's name without what is written now so, now so."""
    return _COMPANY.sub("", unicodedata.normalize("NFKC", name)).casefold()
