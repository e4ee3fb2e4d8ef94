"""Which connector to talk to: arguments, then environment, then the profile file."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from schemas.problem import ProblemError
from schemas.wire import Text

URL_VARIABLE: Final = "DATABANK_URL"
TOKEN_VARIABLE: Final = "DATABANK_TOKEN"  # noqa: S105 - a variable's name


class NoProfileError(ProblemError):
    """No connector is known, so there is nobody to ask."""

    slug = "no-profile"
    title = Text(ko="어느 커넥터인지 모릅니다", en="No connector is known")
    status = 400


@dataclass(frozen=True, slots=True)
class Profile:
    """A connector and the token of its management API."""

    url: str
    token: str


def profile_path(environment: Mapping[str, str]) -> Path:
    """Return where ``databank login`` stores the profile."""
    home = Path(environment.get("HOME", "~")).expanduser()
    base = environment.get("XDG_CONFIG_HOME") or str(home / ".config")
    return Path(base) / "databank" / "config.toml"


def find_profile(
    url: str | None = None, token: str | None = None, *, environment: Mapping[str, str]
) -> Profile:
    """Return the connector to talk to.

    Raises:
        NoProfileError: URL or token is nowhere to be found, or is not usable.
    """
    url = url or environment.get(URL_VARIABLE)
    token = token or environment.get(TOKEN_VARIABLE)
    if not (url and token):
        stored = _read(profile_path(environment))
        # a stored token belongs to the stored URL only: never send it anywhere else
        if stored is not None and url in (None, stored.url):
            url, token = stored.url, token or stored.token
    if not url or not token:
        raise NoProfileError(
            ko=f"커넥터 주소와 토큰이 없습니다. `databank login URL --token-file 파일`을 하거나 "
            f"{URL_VARIABLE}과 {TOKEN_VARIABLE}을 설정하세요.",
            en=f"Connector URL or token is missing. Run `databank login URL --token-file FILE`, "
            f"or set {URL_VARIABLE} and {TOKEN_VARIABLE}.",
        )
    return Profile(_checked(url), token.strip())


def store_profile(profile: Profile, *, environment: Mapping[str, str]) -> Path:
    """Write the profile file, readable by its owner alone; return where it is."""
    path = profile_path(environment)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"url = {json.dumps(_checked(profile.url))}\n")  # a JSON text is a TOML text
        file.write(f"token = {json.dumps(profile.token)}\n")
    partial.rename(path)
    return path


def _read(path: Path) -> Profile | None:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return Profile(str(values["url"]), str(values["token"]))
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError) as error:
        raise NoProfileError(
            ko=f"{path}을 읽을 수 없습니다 ({error}). `databank login`을 다시 하세요.",
            en=f"{path} cannot be read ({error}). Run `databank login` again.",
        ) from None


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NoProfileError(
            ko=f"커넥터 주소가 http(s) URL이 아닙니다: {url!r}",
            en=f"The connector's address is not an http(s) URL: {url!r}",
        )
    return url.rstrip("/")
