"""The operator's command on what it attests of a participant."""

from __future__ import annotations

from typing import Annotated

import typer

from databank.cli.operator_api import DataDir, Var, Where, Who, find_participant, open_service
from databank.cli.surface import surface_of


def attest(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    who: Who,
    group: Annotated[list[str] | None, typer.Option(help="그룹 이름 (a group, repeatable)")] = None,
    claim: Annotated[
        list[str] | None, typer.Option(help="자격: 이름=값 (a claim NAME=VALUE, repeatable)")
    ] = None,
    none: Annotated[
        bool, typer.Option("--none", help="모두 거둡니다 (attest nothing any more)")
    ] = False,
    data_dir: DataDir = Var,
) -> None:
    """Say what is attested of a participant, instead of what was; without options, show it."""
    from pydantic import ValidationError

    from databank.cli.bad_answer import BadAnswerError
    from schemas.attested import Attestation

    surface = surface_of(context)
    where = Where(surface, data_dir)
    participant = find_participant(where, who)
    with open_service(where, "broker") as broker:
        if group or claim or none:
            try:
                wanted = Attestation(
                    participant_id=participant.id, groups=group or (), claims=claim or ()
                )
            except ValidationError as error:
                raise BadAnswerError(
                    ko="읽을 수 없는 그룹이나 자격입니다. 예: --group 안전협의회 --claim "
                    f"industry=C24 ({error.errors()[0]['msg']})",
                    en="Not a group or claim. Example: --group safety-board --claim "
                    f"industry=C24 ({error.errors()[0]['msg']})",
                ) from None
            answer = broker.repeat("POST", "/participants/attestation", json=wanted.to_json())
        else:
            answer = broker.get("/participants/attestation", id=participant.id)
    found = Attestation.model_validate(answer)
    say = surface.say
    lines = [
        f"{say('그룹', 'groups')}: {', '.join(found.groups) or '–'}",
        f"{say('자격', 'claims')}: {', '.join(found.claims) or '–'}",
    ]
    surface.result(found.to_json(), f"{participant.handle}\n" + "\n".join(lines))
