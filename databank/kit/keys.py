"""A service's own secrets on disk: its signing key and its admin token.

A key is replaced in steps that survive a crash: the next key is written before anybody hears
of it, takes the present one's place in one rename, and the old one stays known until what it
signed has expired.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from databank.kit.clock import new_secret
from databank.kit.settings import Environment, ServiceSettings
from schemas.signature import KEY_FRAGMENT, PublicKey, SigningKey, generate_key

KEY_FILE: Final = "signing-key.json"
NEXT_KEY_FILE: Final = "next-key.json"
RETIRED_KEY_FILE: Final = "retired-key.json"
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
        _write_key(path, generate_key(settings.did))
    return _read_key(path, settings.did)


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """The public half of a key that was replaced; not used after ``until``."""

    key: PublicKey
    until: datetime


class KeyFiles:
    """The key files of the service with the DID ``did``."""

    def __init__(self, folder: Path, did: str) -> None:
        self._folder = folder
        self._did = did

    def next_key(self) -> SigningKey | None:
        """Return the key that is to take the present one's place, if there is one."""
        path = self._folder / NEXT_KEY_FILE
        return _read_key(path, self._did) if path.exists() else None

    def make_next(self) -> SigningKey:
        """Return the next key; make it if no rotation is under way."""
        if (found := self.next_key()) is not None:
            return found
        present = _read_key(self._folder / KEY_FILE, self._did)
        number = int(present.kid.rpartition("-")[2]) + 1
        _write_key(self._folder / NEXT_KEY_FILE, generate_key(self._did, f"key-{number}"))
        return self.make_next()

    def promote(self, until: datetime) -> SigningKey:
        """Put the next key in the present one's place; the old one is known until ``until``."""
        present = _read_key(self._folder / KEY_FILE, self._did)
        retired = {"kid": present.kid, "jwk": present.public.jwk, "until": until.isoformat()}
        _write_secret(self._folder / RETIRED_KEY_FILE, json.dumps(retired))
        (self._folder / NEXT_KEY_FILE).rename(self._folder / KEY_FILE)
        return _read_key(self._folder / KEY_FILE, self._did)

    def retired(self) -> RetiredKey | None:
        """Return the key before the present one, if there was one."""
        path = self._folder / RETIRED_KEY_FILE
        if not path.exists():
            return None
        said = json.loads(_read_secret(path))
        key = PublicKey(said["kid"], said["jwk"])
        return RetiredKey(key, datetime.fromisoformat(said["until"]))


def _write_key(path: Path, key: SigningKey) -> None:
    _write_secret(path, json.dumps({**key.private_jwk, "kid": key.kid.rpartition("#")[2]}))


def _read_key(path: Path, did: str) -> SigningKey:
    private = json.loads(_read_secret(path))
    return SigningKey(f"{did}#{private.pop('kid', KEY_FRAGMENT)}", private)


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


def load_or_make_secret(path: Path) -> bytes:
    """Return a secret of this service that nobody else needs; made when first asked for."""
    if not path.exists():
        _write_secret(path, new_secret())
    return _read_secret(path).strip().encode()


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
