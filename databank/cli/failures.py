"""How failures look: what happened, the likely cause, the next step; and the exit code."""

from __future__ import annotations

import sys
from typing import Final

import typer

from databank.cli.jsontext import json_text
from databank.cli.surface import Surface

FAILURE: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
NOT_FOUND: Final = 4
UNAVAILABLE: Final = 5
INTERRUPTED: Final = 130
_BY_STATUS: Final = {
    401: REFUSED,
    402: REFUSED,
    403: REFUSED,
    404: NOT_FOUND,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
_USAGE_SLUGS: Final = {"no-profile", "bad-address", "bad-sql", "unknown-column"}


def report(error: Exception, surface: Surface) -> int:
    """Print an error and return the exit code; with ``--debug`` the traceback comes first."""
    if surface.is_debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    code, problem = describe(error)
    if surface.is_json:
        typer.echo(json_text({"error": problem}), err=True)
        return code
    title = surface.say(str(problem["title"]), str(problem["title_en"]))
    detail = surface.say(str(problem["detail"]), str(problem["detail_en"]))
    typer.secho(surface.say("오류: ", "Error: ") + title, fg="red", err=True)
    if detail and detail != title:
        typer.echo(f"  {detail}", err=True)
    return code


def describe(error: Exception) -> tuple[int, dict[str, object]]:
    """Return the exit code and the problem that an exception stands for."""
    from pydantic import ValidationError

    from databank.cli.fields import explain, explain_problem, joined
    from databank.kit.http import RemoteRefusedError
    from schemas.problem import ProblemError

    if isinstance(error, ProblemError):
        problem = dict(error.to_json())
        if isinstance(error, RemoteRefusedError):
            problem |= explain_problem(error.problem)
        status = problem.get("remote_status", problem["status"])
        code = USAGE if error.slug in _USAGE_SLUGS else _BY_STATUS.get(_whole(status), FAILURE)
        return code, {"title_en": problem["title"], "detail": "", "detail_en": "", **problem}
    if isinstance(error, ValidationError):
        texts = [explain(".".join(map(str, e["loc"])) or "설정", e["msg"]) for e in error.errors()]
        return USAGE, _plain("값을 고쳐 주세요", "Correct the values", "") | joined(texts)
    if isinstance(error, OSError):
        return FAILURE, _plain(
            "파일이나 포트를 쓸 수 없습니다", "A file or port is not usable", str(error)
        )
    text = str(error) or type(error).__name__
    return FAILURE, _plain("실패했습니다", "Failed", text)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _plain(ko: str, en: str, detail: str) -> dict[str, object]:
    return {"title": ko, "title_en": en, "detail": detail, "detail_en": detail}
