"""Messages of the Dataspace Protocol 2025-1."""
