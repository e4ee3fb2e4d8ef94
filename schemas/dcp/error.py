"""The root of everything that is wrong with an identity, a token or a credential."""

from __future__ import annotations


class DcpError(ValueError):
    """Refused; the text says why, without secrets."""
