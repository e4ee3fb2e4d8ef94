"""A service's own secrets on disk: its signing key and its admin token."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from databank.kit.clock import new_secret
from databank.kit.settings import Environment, ServiceSettings
from schemas.signature import SigningKey, generate_key

KEY_FILE: Final = "signing-key.json"
ADMIN_TOKEN_FILE: Final = "admin-token"  # noqa: S105 - a file name


class UnsafeFileError(Exception):
    """A secret file can be read by others."""


def load_or_make_key(settings: ServiceSettings) -> SigningKey:
    """Return the service's signing key; make one at first start.

    Raises:
        UnsafeFileError: Others may read the file.
    """
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        _write_secret(path, json.dumps(generate_key(settings.did).private_jwk))
    private = json.loads(_read_secret(path))
    return SigningKey(f"{settings.did}#key-1", private)


def load_or_make_admin_token(settings: ServiceSettings) -> str:
    """Return the bearer token of the people who run the service."""
    if settings.admin_token_file is not None:
        return settings.admin_token_file.read_text(encoding="utf-8").strip()
    if token := settings.admin_token.get_secret_value():
        return token
    assert settings.env is not Environment.PRODUCTION  # ServiceSettings refuses it
    path = settings.data_dir / ADMIN_TOKEN_FILE
    if not path.exists():
        _write_secret(path, new_secret())
    return _read_secret(path).strip()


def _write_secret(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _read_secret(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise UnsafeFileError(f"{path} can be read by others: chmod 600 it")
    return path.read_text(encoding="utf-8")
