"""How the operator's commands reach the operator's services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from databank.cli.surface import Surface

if TYPE_CHECKING:
    from databank.client.api import Api
    from schemas.participant import Participant

DEFAULT_URLS = {"broker": "http://localhost:8100", "clearing": "http://localhost:8300"}
DataDir = Annotated[
    Path, typer.Option(help="`databank up`의 데이터 폴더: 관리 토큰 (admin tokens lie there)")
]
Var = Path("var")
Who = Annotated[str, typer.Argument(help="참여자 이름이나 id (handle or id)")]


@dataclass(frozen=True, slots=True)
class Where:
    """Whom to tell, and where admin tokens may lie."""

    surface: Surface
    data_dir: Path


@contextmanager
def open_service(where: Where, service: str) -> Iterator[Api]:
    """Open a service's admin API with the token from environment or data folder."""
    from databank.cli.bad_answer import BadAnswerError
    from databank.client.api import Api, open_http
    from databank.kit.keys import ADMIN_TOKEN_FILE

    environment = where.surface.environment
    prefix = f"DATABANK_{service.upper()}"
    token = environment.get(f"{prefix}_TOKEN")
    path = where.data_dir / service / ADMIN_TOKEN_FILE
    if token is None:
        if not path.exists():
            raise BadAnswerError(
                ko=f"관리 토큰이 없습니다. {prefix}_TOKEN을 설정하거나 --data-dir로 "
                "`databank up`의 폴더를 알려 주세요.",
                en=f"No admin token. Set {prefix}_TOKEN, or name the folder of `databank up` "
                "with --data-dir.",
            )
        token = path.read_text(encoding="utf-8").strip()
    url = environment.get(f"{prefix}_URL", DEFAULT_URLS[service]).rstrip("/")
    with open_http() as http:
        yield Api(url, token, http)


def all_participants(where: Where) -> list[Participant]:
    """Return who is registered at the broker."""
    from schemas.participant import ParticipantList

    with open_service(where, "broker") as broker:
        answer = broker.get("/participants")
    return list(ParticipantList.model_validate(answer).participants)


def find_participant(where: Where, who: str) -> Participant:
    """Return the participant with this handle, id or name.

    Raises:
        NotFoundError: There is none.
    """
    from schemas.problem import NotFoundError

    for participant in all_participants(where):
        if who in {participant.id, participant.handle, participant.name}:
            return participant
    raise NotFoundError(
        ko=f"참여자 {who}이(가) 없습니다. `databank operator participants`로 확인하세요.",
        en=f"There is no participant {who}. See `databank operator participants`.",
    )
