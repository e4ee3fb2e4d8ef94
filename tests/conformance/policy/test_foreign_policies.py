"""Policies of IDS and Catena-X: none of them is half understood."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from connector.policy.entitlement import compile_policy
from connector.policy.evaluate import Act, Code, evaluate
from schemas.ids import ParticipantId
from schemas.price import Usage
from schemas.terms import PROFILE, Mode
from tests.support.shared import shared

BUYER: Final = ParticipantId("did:web:buyer.example")
NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)


def readable(folder: Path, pattern: str) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.rglob(pattern)):
        if path.name.endswith("-schema.json"):
            continue
        try:
            found[path.name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # examples with comments or several documents in one file
    return found


def code_of(policy: Any) -> Code:
    entitlement = compile_policy(policy, consumer_id=BUYER, agreed_at=NOW)
    return evaluate(entitlement, Act(Mode.QUERY, BUYER), Usage(), NOW).code


@pytest.mark.parametrize(
    ("path", "pattern", "count"),
    [
        (("standards", "ids-usage-policy-classes"), "*.json", 46),
        (("standards", "cx-odrl-profile"), "*polic*.json", 6),
    ],
)
def test_a_foreign_policy_permits_nothing_even_under_our_profiles_name(
    path: tuple[str, ...], pattern: str, count: int
) -> None:
    policies = readable(shared(*path), pattern)
    assert len(policies) == count
    for name, policy in policies.items():
        assert code_of(policy) is Code.UNKNOWN_TERM, name
        if not isinstance(policy, dict):
            continue  # a list of constraints: no policy to put under our name
        rules = {key: policy[key] for key in ("permission", "obligation") if key in policy}
        assert code_of({"profile": PROFILE, **rules}) is Code.UNKNOWN_TERM, name


def test_catena_x_constraints_are_no_terms_of_ours() -> None:
    samples = readable(shared("standards", "cx-odrl-profile", "schema", "samples"), "*constraint*")
    mode = {"leftOperand": f"{PROFILE}:mode", "operator": "isAnyOf", "rightOperand": ["query"]}
    ours = {"profile": PROFILE, "permission": [{"action": "use", "constraint": [mode]}]}
    assert code_of(ours) is Code.ALLOWED  # the positive control
    atoms = {name: sample for name, sample in samples.items() if "leftOperand" in sample}
    assert len(atoms) == 29
    for name, atom in atoms.items():
        rule = {"action": "use", "constraint": [mode, atom]}
        assert code_of({**ours, "permission": [rule]}) is Code.UNKNOWN_TERM, name
