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
ASK_ABOVE_VARIABLE: Final = "DATABANK_ASK_ABOVE_WON"
ASK_ABOVE_WON: Final = 1_000
TOKEN_VARIABLE: Final = "DATABANK_TOKEN"  # noqa: S105 - a variable's name


class NoProfileError(ProblemError):
    """No connector is known, so there is nobody to ask."""

    slug = "no-profile"
    title = Text(ko="어느 커넥터인지 모릅니다", en="No connector is known")
    status = 400


class BadAddressError(NoProfileError):
    """The connector's address is not an http(s) URL."""

    slug = "bad-address"
    title = Text(ko="커넥터 주소가 올바르지 않습니다", en="The connector's address is not usable")


@dataclass(frozen=True, slots=True)
class Profile:
    """A connector, the token of its management API, and above which cost commands ask.

    Raises:
        BadAddressError: The URL is not an http(s) URL.
    """

    url: str
    token: str
    ask_above_won: int | None = None

    def __post_init__(self) -> None:
        _check(self.url)


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
    return Profile(url.rstrip("/"), token.strip())


def find_ask_above_won(environment: Mapping[str, str]) -> int:
    """Return above which cost a command asks first: environment, then profile file, then ₩1,000.

    Raises:
        NoProfileError: The setting is not a whole number of won.
    """
    text = environment.get(ASK_ABOVE_VARIABLE)
    if text is None:
        stored = _read(profile_path(environment))
        found = None if stored is None else stored.ask_above_won
        return ASK_ABOVE_WON if found is None else found
    if not text.strip().isdecimal():
        raise NoProfileError(
            ko=f"{ASK_ABOVE_VARIABLE}={text!r}: 원 단위 정수로 적으세요. 예: 1000",
            en=f"{ASK_ABOVE_VARIABLE}={text!r}: write whole won, for example 1000.",
        )
    return int(text)


def store_profile(profile: Profile, *, environment: Mapping[str, str]) -> Path:
    """Write the profile file, readable by its owner alone; return where it is.

    A limit that was set in the file before stays.
    """
    path = profile_path(environment)
    limit = profile.ask_above_won
    if limit is None:
        limit = _limit_in(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"url = {json.dumps(profile.url.rstrip('/'))}\n")  # JSON text is TOML text
        file.write(f"token = {json.dumps(profile.token)}\n")
        if limit is not None:
            file.write(f"ask_above_won = {limit}\n")
    partial.rename(path)
    return path


def _limit_in(path: Path) -> int | None:
    try:
        stored = _read(path)
    except NoProfileError:
        return None
    return None if stored is None else stored.ask_above_won


def _read(path: Path) -> Profile | None:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        limit = values.get("ask_above_won")
        return Profile(
            str(values["url"]), str(values["token"]), None if limit is None else int(limit)
        )
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError) as error:
        raise NoProfileError(
            ko=f"프로필 파일을 읽을 수 없습니다: {path} ({error}). `databank login`을 다시 하세요.",
            en=f"{path} cannot be read ({error}). Run `databank login` again.",
        ) from None


def _check(url: str) -> None:
    if not _is_http(url):
        is_bare = "://" not in url and _is_http(f"http://{url}")
        raise BadAddressError(
            ko=f"{url!r}: 앞에 http://가 빠졌습니다. http://{url}처럼 적으세요."
            if is_bare
            else f"{url!r}: http:// 또는 https://로 시작하는 주소를 적으세요.",
            en=f"{url!r}: http:// is missing. Write http://{url}."
            if is_bare
            else f"{url!r}: write an address that begins with http:// or https://.",
        )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False
