"""Arguments before environment before profile; a token goes to its own connector only."""

from __future__ import annotations

from pathlib import Path

import pytest

from databank.client.profile import (
    ASK_ABOVE_WON,
    BadAddressError,
    NoProfileError,
    Profile,
    find_ask_above_won,
    find_profile,
    store_profile,
)

STORED = Profile("http://localhost:8401", 'a "quoted" token')


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    found = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = store_profile(STORED, environment=found)
    assert path.stat().st_mode & 0o077 == 0
    return found


def test_what_login_stored_is_found_again(environment: dict[str, str]) -> None:
    assert find_profile(environment=environment) == STORED


def test_the_environment_wins_over_the_file_and_arguments_over_both(
    environment: dict[str, str],
) -> None:
    named = environment | {"DATABANK_URL": "http://localhost:1", "DATABANK_TOKEN": "t1"}
    assert find_profile(environment=named) == Profile("http://localhost:1", "t1")
    found = find_profile("http://localhost:2/", "t2", environment=named)
    assert found == Profile("http://localhost:2", "t2")


def test_a_stored_token_is_never_sent_to_another_connector(environment: dict[str, str]) -> None:
    with pytest.raises(NoProfileError):
        find_profile("http://elsewhere:8401", environment=environment)


@pytest.mark.parametrize("content", ["not toml", 'url = "http://x"', ""])
def test_a_broken_profile_is_named(
    content: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "databank" / "config.toml").write_text(content)
    with pytest.raises(NoProfileError) as error:
        find_profile(environment=environment)
    assert "databank login" in error.value.detail.en


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:y", "http:/x"])
def test_an_address_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadAddressError):
        find_profile(url, "t", environment={})


@pytest.mark.parametrize("url", ["localhost:8401", "connector.example/bank", "127.0.0.1:8401"])
def test_a_missing_scheme_is_named(url: str) -> None:
    with pytest.raises(BadAddressError) as error:
        Profile(url, "t")
    assert "http://가 빠졌습니다" in error.value.detail.ko
    assert f"http:// is missing. Write http://{url}." in error.value.detail.en


def test_the_limit_for_asking_is_found_in_environment_then_profile_and_outlives_a_login(
    environment: dict[str, str],
) -> None:
    assert find_ask_above_won({"HOME": "/nowhere"}) == ASK_ABOVE_WON
    store_profile(Profile(STORED.url, "t", 5_000), environment=environment)
    store_profile(STORED, environment=environment)
    assert find_ask_above_won(environment) == 5_000
    assert find_ask_above_won(environment | {"DATABANK_ASK_ABOVE_WON": "0"}) == 0
    with pytest.raises(NoProfileError):
        find_ask_above_won({"DATABANK_ASK_ABOVE_WON": "much"})
