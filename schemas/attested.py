"""What the operator attests of a participant in its membership credential: groups and claims.

A group is a name that the operator gives to several participants; a claim is a name and a
value, such as ``industry`` and ``C24``. In a policy a claim is written ``name=value``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints

from schemas.ids import ParticipantId
from schemas.wire import OwnWire

GROUPS_MAX: Final = 50
CLAIMS_MAX: Final = 50
_CLAIM: Final = re.compile(r"^[a-z][a-z0-9_-]{0,39}=[^\s=,][^=,\x00-\x1f\x7f]{0,99}$")
GroupName = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]{0,63}$")]


def _claim(text: str) -> str:
    if not _CLAIM.match(text):
        raise ValueError(f"a claim is written name=value, such as industry=C24: {text[:80]!r}")
    return text


ClaimText = Annotated[str, AfterValidator(_claim)]


@dataclass(frozen=True, slots=True)
class Attested:
    """The groups and claims of one verified credential, or of several."""

    groups: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()  # name=value

    @classmethod
    def of(cls, subject: Mapping[str, Any]) -> Attested:
        """Read the subject of a membership credential that fits its schema."""
        claims = dict(subject.get("claims") or {})
        return cls(
            frozenset(subject.get("groups") or ()),
            frozenset(f"{name}={value}" for name, value in claims.items()),
        )

    def to_subject(self) -> dict[str, Any]:
        """Return what stands in a credential's subject; nothing if nothing is attested."""
        pairs = (claim.partition("=") for claim in sorted(self.claims))
        claims = {name: value for name, _, value in pairs}
        said = {"groups": sorted(self.groups), "claims": claims}
        return {name: value for name, value in said.items() if value}

    def joined(self, other: Attested) -> Attested:
        """Return what two credentials say together."""
        return Attested(self.groups | other.groups, self.claims | other.claims)


class Attestation(OwnWire):
    """Operator's admin API: from now on this, and nothing else, is attested of a participant."""

    participant_id: ParticipantId
    groups: tuple[GroupName, ...] = Field(default=(), max_length=GROUPS_MAX)
    claims: tuple[ClaimText, ...] = Field(default=(), max_length=CLAIMS_MAX)

    @property
    def attested(self) -> Attested:
        """The same, as a credential has it; of two values of one claim the last counts."""
        by_name = {claim.partition("=")[0]: claim for claim in self.claims}
        return Attested(frozenset(self.groups), frozenset(by_name.values()))
