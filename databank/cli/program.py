"""The command line as a whole: common options, commands, exit codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

from databank.cli.failures import FAILURE, INTERRUPTED, USAGE, report
from databank.cli.surface import Surface

LANGUAGES: Final = ("ko", "en")
_FLAGS: Final = {"--json": "is_json", "--debug": "is_debug"}
_TWO_LANGUAGES: Final = re.compile(r"^(?P<ko>.*[가-힣].*?) \((?P<en>[^가-힣]+)\)$", re.DOTALL)
_VALUES: Final = {"--lang": "language", "--connector": "connector", "--token": "token"}


class UsageError(Exception):
    """The common options are wrong."""


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    try:
        surface, rest = read_common_options(arguments, environment)
    except UsageError as error:
        typer.secho(f"오류: {error}", fg="red", err=True)
        return USAGE
    try:
        return _invoke(build(surface), rest, surface)
    except KeyboardInterrupt:
        typer.echo(surface.say("중단했습니다", "Interrupted"), err=True)
        return INTERRUPTED
    except BrokenPipeError:  # `databank … | head`
        return FAILURE
    except Exception as error:  # noqa: BLE001 - the last resort: never a traceback unasked
        return report(error, surface)


def _invoke(app: typer.Typer, rest: Sequence[str], surface: Surface) -> int:
    command: Any = typer.main.get_command(app)
    if surface.language == "en":
        _put_english_first(command)
    try:
        code = command.main(list(rest), prog_name="databank", standalone_mode=False, obj=surface)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        show = getattr(error, "show", None)  # click's own usage errors
        if show is None:
            raise
        show()
        return int(getattr(error, "exit_code", USAGE))
    return code if isinstance(code, int) else 0  # typer.Exit arrives as its code


def _put_english_first(command: Any) -> None:  # noqa: ANN401 - a click command
    """Turn ``한국어 (English)`` in help and questions of options into ``English (한국어)``."""
    for parameter in command.params:
        for attribute in ("help", "prompt"):
            text = getattr(parameter, attribute, None)
            match = _TWO_LANGUAGES.match(text) if isinstance(text, str) else None
            if match is not None:
                setattr(parameter, attribute, f"{match['en']} ({match['ko']})")
    for child in getattr(command, "commands", {}).values():
        _put_english_first(child)


def read_common_options(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[Surface, list[str]]:
    """Take the common options out of the arguments, wherever they stand before a ``--``.

    Raises:
        UsageError: A value is missing or not one of the choices.
    """
    found: dict[str, Any] = {"language": default_language(environment)}
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, has_value, value = word.partition("=")
        if word == "--":
            rest += [word, *waiting]
            break
        if word in _FLAGS:
            found[_FLAGS[word]] = True
        elif name in _VALUES:
            if not has_value:
                if not waiting:
                    raise UsageError(f"{name} 다음에 값이 필요합니다 (needs a value)")
                value = waiting.pop(0)
            found[_VALUES[name]] = value
        else:
            rest.append(word)
    if found["language"] not in LANGUAGES:
        raise UsageError(f"--lang은 ko 또는 en입니다 (is ko or en): {found['language']}")
    return Surface(environment=environment, **found), rest


def default_language(environment: Mapping[str, str]) -> str:
    """Return English where the environment asks for it, else Korean."""
    locale = next(
        (environment[v] for v in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(v)), ""
    )
    return "en" if locale.lower().startswith("en") else "ko"


def build(surface: Surface) -> typer.Typer:
    """Return the application with its help in the surface's language."""
    from databank.cli import (
        account,
        billing,
        buying,
        comparing,
        deciding,
        disputing,
        limiting,
        negotiating,
        operating,
        proving,
        publishing,
        serving,
        sharing,
        telling,
        witnessing,
    )

    say = surface.say
    app = typer.Typer(
        help=say(
            "산업데이터은행: 기업이 자기 조건으로 산업 데이터를 나누고 대가를 받습니다.",
            "Industrial Data Bank: companies share industrial data on their own terms, for pay.",
        ),
        epilog=say(
            "어디서나: --json, --lang ko|en, --connector URL, --token 토큰, --debug",
            "Anywhere: --json, --lang ko|en, --connector URL, --token TOKEN, --debug",
        ),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module in (
        serving,
        publishing,
        buying,
        deciding,
        limiting,
        comparing,
        disputing,
        negotiating,
        account,
        billing,
        sharing,
        proving,
        witnessing,
        operating,
        telling,
    ):
        module.register(app, say)
    return app


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version as version_of

        typer.echo(f"databank {version_of('industrial-data-bank')}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", help="버전 (version)", is_eager=True, callback=_show_version
    ),
) -> None:
    del version
