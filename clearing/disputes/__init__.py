"""Disputes (분쟁): what is contested is held, then released or refunded."""
