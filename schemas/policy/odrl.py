"""Terms and price as an ODRL 2.2 policy, and back.

A policy is one permission to ``use`` with constraints, optionally a prohibition to
``distribute``, and the price as an obligation to ``compensate``. What is not in the profile
cannot be written, and a policy that holds it is never read as permission.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from schemas.policy.model import PROFILE, Terms, UnknownTermError
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.wire import format_time, parse_time


class Operand(StrEnum):
    """The left operands of the profile; ODRL's own where it has one."""

    MODE = "urn:idb:policy:1:mode"
    VALID_UNTIL = "dateTime"
    VALID_FOR = "elapsedTime"
    RECIPIENT = "recipient"
    PURPOSE = "purpose"
    QUERIES = "count"
    ROWS = "urn:idb:policy:1:rows"


def _atom(operand: Operand, operator: str, value: object) -> dict[str, Any]:
    return {"leftOperand": operand.value, "operator": operator, "rightOperand": value}


def to_policy(terms: Terms, plan: PricePlan) -> dict[str, Any]:
    """Return the rules of an ODRL policy, without its id, type, target and parties."""
    constraints = [_atom(Operand.MODE, "isAnyOf", [mode.value for mode in terms.modes])]
    if terms.valid_until is not None:
        constraints.append(_atom(Operand.VALID_UNTIL, "lteq", format_time(terms.valid_until)))
    if terms.valid_days is not None:
        constraints.append(_atom(Operand.VALID_FOR, "lteq", f"P{terms.valid_days}D"))
    if terms.recipients:
        constraints.append(_atom(Operand.RECIPIENT, "isAnyOf", list(terms.recipients)))
    if terms.purposes:
        constraints.append(_atom(Operand.PURPOSE, "isAnyOf", list(terms.purposes)))
    if terms.queries_max is not None:
        constraints.append(_atom(Operand.QUERIES, "lteq", str(terms.queries_max)))
    if terms.rows_max is not None:
        constraints.append(_atom(Operand.ROWS, "lteq", str(terms.rows_max)))
    policy: dict[str, Any] = {
        "profile": PROFILE,
        "permission": [{"action": "use", "constraint": constraints}],
    }
    if terms.redistribution_forbidden:
        policy["prohibition"] = [{"action": "distribute"}]
    if plan.components:
        policy["obligation"] = [
            {
                "action": "compensate",
                "constraint": [
                    {
                        "leftOperand": f"urn:idb:price:1:{component.kind.value}",
                        "operator": "eq",
                        "rightOperand": str(component.amount_micro),
                    }
                    for component in plan.components
                ],
            }
        ]
    return policy


_POLICY_FIELDS: Final = frozenset(
    {"@id", "@type", "@context", "target", "assigner", "assignee", "timestamp"}
    | {"profile", "permission", "prohibition", "obligation"}
)


def from_policy(policy: dict[str, Any]) -> tuple[Terms, PricePlan]:
    """Read the terms and the price of an ODRL policy of this profile.

    Raises:
        UnknownTermError: Anything in the policy is outside the profile.
    """
    if unknown := set(policy) - _POLICY_FIELDS:
        raise UnknownTermError(f"fields outside the profile: {sorted(unknown)}")
    if policy.get("profile") != PROFILE:
        raise UnknownTermError(f"profile is not {PROFILE}")
    permissions = policy.get("permission")
    if not isinstance(permissions, list) or len(permissions) != 1:
        raise UnknownTermError("exactly one permission is expected")
    fields = _read_permission(permissions[0])
    prohibition = policy.get("prohibition")
    if prohibition not in (None, [{"action": "distribute"}]):
        raise UnknownTermError(f"prohibition outside the profile: {prohibition!r}")
    fields["redistribution_forbidden"] = prohibition is not None
    try:
        return Terms.model_validate(fields), _read_plan(policy.get("obligation"))
    except ValueError as error:
        raise UnknownTermError(str(error)) from None


def _read_permission(permission: object) -> dict[str, Any]:
    if not isinstance(permission, dict) or set(permission) != {"action", "constraint"}:
        raise UnknownTermError("a permission has an action and constraints")
    if permission["action"] != "use" or not isinstance(permission["constraint"], list):
        raise UnknownTermError("the permitted action is 'use'")
    fields: dict[str, Any] = {}
    for constraint in permission["constraint"]:
        name, value = _read_constraint(constraint)
        if name in fields:
            raise UnknownTermError(f"{name} stands twice")
        fields[name] = value
    if "modes" not in fields:
        raise UnknownTermError("the way of use is missing")
    return fields


_READERS: Final[dict[tuple[str, str], str]] = {
    (Operand.MODE, "isAnyOf"): "modes",
    (Operand.VALID_UNTIL, "lteq"): "valid_until",
    (Operand.VALID_FOR, "lteq"): "valid_days",
    (Operand.RECIPIENT, "isAnyOf"): "recipients",
    (Operand.PURPOSE, "isAnyOf"): "purposes",
    (Operand.QUERIES, "lteq"): "queries_max",
    (Operand.ROWS, "lteq"): "rows_max",
}
_DAYS: Final = re.compile(r"P([0-9]{1,9})D")
_COUNT: Final = re.compile(r"([0-9]{1,18})")
_LISTS: Final = frozenset({"modes", "recipients", "purposes"})


def _read_constraint(constraint: object) -> tuple[str, Any]:
    keys = {"leftOperand", "operator", "rightOperand"}
    if not isinstance(constraint, dict) or set(constraint) != keys:
        raise UnknownTermError(f"not an atomic constraint: {constraint!r}")
    left, operator, right = (constraint[k] for k in ("leftOperand", "operator", "rightOperand"))
    if not isinstance(left, str) or not isinstance(operator, str):
        raise UnknownTermError("operand and operator are texts")
    name = _READERS.get((left, operator))
    if name is None:
        raise UnknownTermError(f"constraint outside the profile: {left} {operator}")
    if name in _LISTS:
        if not isinstance(right, list) or not right or not all(isinstance(r, str) for r in right):
            raise UnknownTermError(f"{left} needs a list of texts")
        return name, tuple(right)
    if not isinstance(right, str):
        raise UnknownTermError(f"{left} needs a text")
    return name, _read_scalar(name, right)


def _read_scalar(name: str, text: str) -> datetime | int:
    form = _DAYS if name == "valid_days" else _COUNT
    if name == "valid_until":
        try:
            return parse_time(text)
        except ValueError:
            pass
    elif match := form.fullmatch(text):
        return int(match[1])
    raise UnknownTermError(f"unreadable limit of {name}: {text!r}")


def _read_plan(obligation: object) -> PricePlan:
    if obligation is None:
        return PricePlan()
    if not isinstance(obligation, list) or len(obligation) != 1:
        raise UnknownTermError("exactly one obligation is expected")
    duty = obligation[0]
    if not isinstance(duty, dict) or set(duty) != {"action", "constraint"}:
        raise UnknownTermError("an obligation has an action and constraints")
    if duty["action"] != "compensate":
        raise UnknownTermError(f"obligation outside the profile: {duty['action']!r}")
    if not isinstance(duty["constraint"], list) or not duty["constraint"]:
        raise UnknownTermError("a price has at least one component")
    return PricePlan(components=tuple(_read_component(atom) for atom in duty["constraint"]))


def _read_component(atom: object) -> PriceComponent:
    prefix = "urn:idb:price:1:"
    if not isinstance(atom, dict) or set(atom) != {"leftOperand", "operator", "rightOperand"}:
        raise UnknownTermError("a price is an atomic constraint")
    left = atom["leftOperand"]
    if atom["operator"] != "eq" or not isinstance(left, str) or not left.startswith(prefix):
        raise UnknownTermError(f"price outside the profile: {left!r}")
    if not isinstance(atom["rightOperand"], str):
        raise UnknownTermError("a price is a whole number in a text")
    kind = PriceKind(left.removeprefix(prefix))
    return PriceComponent(kind=kind, amount_micro=atom["rightOperand"])
