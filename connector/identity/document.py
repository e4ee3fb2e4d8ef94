"""Our DID document: our keys and our credential service."""

from __future__ import annotations

from connector.identity.rotation import own_keys
from connector.runtime import Runtime
from schemas.dcp.did import DidDocument, ServiceType


def own_document(runtime: Runtime) -> DidDocument:
    """Return our DID document as it is now."""
    services = [(ServiceType.CREDENTIAL, runtime.settings.dcp_url)]
    return DidDocument.of(
        runtime.did, own_keys(runtime), services if runtime.settings.shows_credentials else []
    )
