"""Who issues documents: the operator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issuer:
    """The operator, as its documents name it."""

    name: str
    brn: str  # ten digits
    url: str  # of the clearing service, no slash at the end
