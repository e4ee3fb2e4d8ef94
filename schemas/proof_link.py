"""What a statement's QR code says: where its seal stands in clearing's log, and what it seals.

``https://clearing.example/log/proofs/42#2026-11-nuri-1:<sha256>`` opens the proof of the leaf
in a browser; ``databank verify BUNDLE --paper TEXT`` compares it with a bundle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from schemas.seal import log_origin

_FORM: Final = re.compile(
    r"^(?P<url>https?://[^#\s]{1,300})/log/proofs/(?P<index>[0-9]{1,18})"
    r"#(?P<statement>[0-9]{4}-[0-9]{2}-[^:\s]{1,300}):(?P<sha256>[0-9a-f]{64})$"
)


@dataclass(frozen=True, slots=True)
class ProofLink:
    """A statement's place in a log, and its hash."""

    url: str  # of the clearing service, no slash at the end
    log_index: int
    statement_id: str
    sha256: str  # over the statement's RFC 8785 form

    @property
    def log_origin(self) -> str:
        """The name of the log."""
        return log_origin(self.url)

    def __str__(self) -> str:
        place = f"{self.url}/log/proofs/{self.log_index}"
        return f"{place}#{self.statement_id}:{self.sha256}"


def parse_proof_link(text: str) -> ProofLink:
    """Read what a QR code says.

    Raises:
        ValueError: Not such a text.
    """
    match = _FORM.match(text.strip())
    if match is None:
        raise ValueError("not the text of a statement's QR code")
    return ProofLink(match["url"], int(match["index"]), match["statement"], match["sha256"])
