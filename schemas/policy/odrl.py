"""Terms and price as an ODRL 2.2 policy, and back.

A policy is one permission to ``use`` with constraints, optionally prohibitions to
``distribute`` and to ``derive``, and as obligations the price (``compensate``) and the duty
to ``delete``. What is not in the profile cannot be written, and a policy that holds it is
never read as permission.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple

from schemas.policy.model import PROFILE, Terms, UnknownTermError
from schemas.policy.relation import Bound, Mask, RowCondition
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.price_form import component_of, parts_of
from schemas.wire import format_time, parse_time

PRICE_PREFIX: Final = "urn:idb:price:1:"


class Operand(StrEnum):
    """The left operands of the profile; ODRL's own where it has one."""

    MODE = "urn:idb:policy:1:mode"
    VALID_FROM = VALID_UNTIL = "dateTime"
    VALID_FOR = "elapsedTime"
    RECIPIENT = "recipient"
    RECIPIENT_GROUP = "urn:idb:policy:1:recipientGroup"
    RECIPIENT_CLAIM = "urn:idb:policy:1:recipientClaim"
    PURPOSE = "purpose"
    QUERIES = "count"
    ROWS = "urn:idb:policy:1:rows"
    BYTES = "urn:idb:policy:1:bytes"
    COLUMNS = "urn:idb:policy:1:columns"
    MASKS = "urn:idb:policy:1:masks"
    ROW_FILTER = "urn:idb:policy:1:rowFilter"
    ENTITY = "urn:idb:policy:1:statisticsEntity"
    GROUPS = "urn:idb:policy:1:statisticsGroups"
    ENTITIES = "urn:idb:policy:1:entities"
    DOMINANCE = "urn:idb:policy:1:dominancePercent"
    REMAINDER = "urn:idb:policy:1:remainderPercent"
    EPSILON = "urn:idb:policy:1:epsilonMilli"
    EPSILON_BUDGET = "urn:idb:policy:1:epsilonBudgetMilli"
    EPSILON_AGREEMENT = "urn:idb:policy:1:epsilonAgreementMilli"
    BOUNDS = "urn:idb:policy:1:bounds"
    ENTITY_ROWS = "urn:idb:policy:1:entityRows"
    ENTITY_CELLS = "urn:idb:policy:1:entityCells"
    ROYALTY = "urn:idb:policy:1:derivationRoyalty"


class _Form(NamedTuple):
    """How the value of one field stands as the right operand, and how it is read."""

    operand: Operand
    operator: str
    write: Callable[[Any], str | list[str]]
    read: Callable[[Any], Any]


def _texts(right: object) -> tuple[str, ...]:
    if not isinstance(right, list) or not right or not all(isinstance(r, str) for r in right):
        raise UnknownTermError(f"not a list of texts: {right!r}")
    return tuple(right)


def _text(right: object) -> str:
    if not isinstance(right, str):
        raise UnknownTermError(f"not a text: {right!r}")
    return right


_DAYS: Final = re.compile(r"P([0-9]{1,9})D")
_COUNT: Final = re.compile(r"([0-9]{1,18})")


def _number(form: re.Pattern[str], right: object) -> int:
    match = form.fullmatch(right) if isinstance(right, str) else None
    if match is None:
        raise UnknownTermError(f"unreadable limit: {right!r}")
    return int(match[1])


def _moment(right: object) -> datetime:
    try:
        return parse_time(right if isinstance(right, str) else "")
    except ValueError:
        raise UnknownTermError(f"unreadable time: {right!r}") from None


def _list(operand: Operand, operator: str = "isAnyOf") -> _Form:
    return _Form(operand, operator, list, _texts)


def _limit(operand: Operand, operator: str = "lteq") -> _Form:
    return _Form(operand, operator, str, partial(_number, _COUNT))


def _relation(operand: Operand, kind: type[Bound | Mask | RowCondition]) -> _Form:
    return _Form(
        operand,
        "isAllOf",
        lambda values: [value.to_text() for value in values],
        lambda right: tuple(kind.from_text(text) for text in _texts(right)),
    )


_DURATION: Final = _Form(
    Operand.VALID_FOR, "lteq", lambda days: f"P{days}D", partial(_number, _DAYS)
)
# The constraints of the permission by the field of Terms, in the order in which they are written.
_FORMS: Final[dict[str, _Form]] = {
    "modes": _Form(Operand.MODE, "isAnyOf", lambda modes: [mode.value for mode in modes], _texts),
    "valid_from": _Form(Operand.VALID_FROM, "gteq", format_time, _moment),
    "valid_until": _Form(Operand.VALID_UNTIL, "lteq", format_time, _moment),
    "valid_days": _DURATION,
    "recipients": _list(Operand.RECIPIENT),
    "recipient_groups": _list(Operand.RECIPIENT_GROUP),
    "recipient_claims": _list(Operand.RECIPIENT_CLAIM, "isAllOf"),
    "purposes": _list(Operand.PURPOSE),
    "queries_max": _limit(Operand.QUERIES),
    "rows_max": _limit(Operand.ROWS),
    "bytes_max": _limit(Operand.BYTES),
    "columns": _list(Operand.COLUMNS),
    "masks": _relation(Operand.MASKS, Mask),
    "row_filter": _relation(Operand.ROW_FILTER, RowCondition),
    "statistics_entity": _Form(Operand.ENTITY, "eq", str, _text),
    "statistics_groups": _list(Operand.GROUPS),
    "entities_min": _limit(Operand.ENTITIES, "gteq"),
    "dominance_percent_max": _limit(Operand.DOMINANCE),
    "remainder_percent_min": _limit(Operand.REMAINDER, "gteq"),
    "epsilon_milli": _limit(Operand.EPSILON, "eq"),
    "epsilon_budget_milli": _limit(Operand.EPSILON_BUDGET),
    "epsilon_agreement_milli": _limit(Operand.EPSILON_AGREEMENT),
    "bounds": _relation(Operand.BOUNDS, Bound),
    "entity_rows_max": _limit(Operand.ENTITY_ROWS),
    "entity_cells_max": _limit(Operand.ENTITY_CELLS),
    "derivation_royalty_percent": _limit(Operand.ROYALTY, "eq"),
}
_BY_OPERAND: Final = {(form.operand.value, form.operator): name for name, form in _FORMS.items()}
_PROHIBITED: Final = {
    "redistribution_forbidden": "distribute",
    "derivation_forbidden": "derive",
}


_DUTIES: Final = frozenset({"compensate", "delete"})


def _atom(operand: str, operator: str, value: object) -> dict[str, Any]:
    return {"leftOperand": operand, "operator": operator, "rightOperand": value}


def to_policy(terms: Terms, plan: PricePlan) -> dict[str, Any]:
    """Return the rules of an ODRL policy, without its id, type, target and parties."""
    constraints = [
        _atom(form.operand.value, form.operator, form.write(value))
        for name, form in _FORMS.items()
        if (value := getattr(terms, name))
    ]
    policy: dict[str, Any] = {
        "profile": PROFILE,
        "permission": [{"action": "use", "constraint": constraints}],
    }
    prohibited = [action for name, action in _PROHIBITED.items() if getattr(terms, name)]
    if prohibited:
        policy["prohibition"] = [{"action": action} for action in prohibited]
    obligations = []
    if plan.components:
        obligations.append({"action": "compensate", "constraint": _price_atoms(plan)})
    if terms.deletion_days is not None:
        within = _atom(_DURATION.operand.value, "lteq", _DURATION.write(terms.deletion_days))
        obligations.append({"action": "delete", "constraint": [within]})
    if obligations:
        policy["obligation"] = obligations
    return policy


_LIMITS: Final = {  # of a month: the field of PricePlan by operand and operator
    (f"{PRICE_PREFIX}month", "gteq"): "monthly_minimum_micro",
    (f"{PRICE_PREFIX}month", "lteq"): "monthly_cap_micro",
}


def _price_atoms(plan: PricePlan) -> list[dict[str, Any]]:
    """Write a plain amount as a text, one with more to it as the list of its parts."""
    atoms = []
    for component in plan.components:
        parts = parts_of(component, str)
        right = parts[0] if len(parts) == 1 else parts
        atoms.append(_atom(f"{PRICE_PREFIX}{component.kind.value}", "eq", right))
    for (operand, operator), name in _LIMITS.items():
        if (amount := getattr(plan, name)) is not None:
            atoms.append(_atom(operand, operator, str(amount)))
    return atoms


_POLICY_FIELDS: Final = frozenset(
    {"@id", "@type", "@context", "target", "assigner", "assignee", "timestamp"}
    | {"profile", "permission", "prohibition", "obligation"}
)


def from_policy(policy: dict[str, Any]) -> tuple[Terms, PricePlan]:
    """Read the terms and the price of an ODRL policy of this profile.

    Raises:
        UnknownTermError: Anything in the policy is outside the profile.
    """
    if not isinstance(policy, dict):  # of a counterparty, who may send anything
        raise UnknownTermError("a policy is an object")
    if unknown := set(policy) - _POLICY_FIELDS:
        raise UnknownTermError(f"fields outside the profile: {sorted(unknown)}")
    if policy.get("profile") != PROFILE:
        raise UnknownTermError(f"profile is not {PROFILE}")
    permissions = policy.get("permission")
    if not isinstance(permissions, list) or len(permissions) != 1:
        raise UnknownTermError("exactly one permission is expected")
    try:
        fields = _read_permission(permissions[0])
        fields |= _read_prohibitions(policy.get("prohibition"))
        plan, deletion_days = _read_obligations(policy.get("obligation"))
        return Terms.model_validate({**fields, "deletion_days": deletion_days}), plan
    except UnknownTermError:
        raise
    except (ValueError, RecursionError) as error:
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


def _read_constraint(constraint: object) -> tuple[str, Any]:
    left, operator, right = _read_atom(constraint)
    name = _BY_OPERAND.get((left, operator))
    if name is None:
        raise UnknownTermError(f"constraint outside the profile: {left} {operator}")
    return name, _FORMS[name].read(right)


def _read_atom(constraint: object) -> tuple[str, str, object]:
    keys = {"leftOperand", "operator", "rightOperand"}
    if not isinstance(constraint, dict) or set(constraint) != keys:
        raise UnknownTermError(f"not an atomic constraint: {constraint!r}")
    left, operator = constraint["leftOperand"], constraint["operator"]
    if not isinstance(left, str) or not isinstance(operator, str):
        raise UnknownTermError("operand and operator are texts")
    return left, operator, constraint["rightOperand"]


def _read_prohibitions(prohibition: object) -> dict[str, bool]:
    if prohibition is None:
        return dict.fromkeys(_PROHIBITED, False)
    known = {action: name for name, action in _PROHIBITED.items()}
    if not isinstance(prohibition, list) or not prohibition:
        raise UnknownTermError(f"prohibition outside the profile: {prohibition!r}")
    found = {}
    for rule in prohibition:
        is_plain = isinstance(rule, dict) and set(rule) == {"action"}
        action = rule["action"] if is_plain else None
        if not isinstance(action, str) or action not in known or known[action] in found:
            raise UnknownTermError(f"prohibition outside the profile: {rule!r}")
        found[known[action]] = True
    return dict.fromkeys(_PROHIBITED, False) | found


def _read_obligations(obligation: object) -> tuple[PricePlan, int | None]:
    if obligation is None:
        return PricePlan(), None
    if not isinstance(obligation, list) or not obligation:
        raise UnknownTermError("obligations are a list")
    found: dict[str, list[Any]] = {}
    for duty in obligation:
        if not isinstance(duty, dict) or set(duty) != {"action", "constraint"}:
            raise UnknownTermError("an obligation has an action and constraints")
        action, atoms = duty["action"], duty["constraint"]
        if not isinstance(action, str) or action not in _DUTIES or action in found:
            raise UnknownTermError(f"obligation outside the profile: {action!r}")
        if not isinstance(atoms, list) or not atoms:
            raise UnknownTermError(f"{action} needs constraints")
        found[action] = atoms
    return _read_plan(found.get("compensate", [])), _read_deletion(
        found["delete"]
    ) if "delete" in found else None


def _read_deletion(atoms: list[Any]) -> int:
    left, operator, right = _read_atom(atoms[0])
    if len(atoms) != 1 or (left, operator) != (_DURATION.operand.value, _DURATION.operator):
        raise UnknownTermError("deletion is due within days")
    return int(_DURATION.read(right))


def _read_plan(atoms: list[Any]) -> PricePlan:
    components: list[PriceComponent] = []
    limits: dict[str, str] = {}
    for atom in atoms:
        left, operator, right = _read_atom(atom)
        name = _LIMITS.get((left, operator))
        if name is None:
            components.append(_read_component(left, operator, right))
        elif name in limits:
            raise UnknownTermError(f"{name} stands twice")
        else:
            limits[name] = _amount(right)
    return PricePlan.model_validate({"components": components, **limits})


def _read_component(left: str, operator: str, right: object) -> PriceComponent:
    if operator != "eq" or not left.startswith(PRICE_PREFIX):
        raise UnknownTermError(f"price outside the profile: {left!r}")
    kind = PriceKind(left.removeprefix(PRICE_PREFIX))
    if isinstance(right, list):
        parts = _texts(right)
        if len(parts) == 1:
            raise UnknownTermError(f"a list of one part: {right!r}")
        return component_of(kind, parts, _amount)
    return component_of(kind, [_amount(right)], _amount)


def _amount(right: object) -> str:
    if not isinstance(right, str):
        raise UnknownTermError("a price is a whole number in a text")
    return right
