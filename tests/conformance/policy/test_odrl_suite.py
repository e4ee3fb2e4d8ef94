"""The ODRL test suite of SolidLab: what our closed profile can say of it, and what it does then.

A case says whether a rule is active for a request in a state of the world. Ours is a closed
profile, so two things are scored: a policy as it stands permits nothing here, and a policy
that the profile can say exactly is said in it and decided by our evaluator. A policy that
it cannot say cannot be published, which is a denial. What is counted stands in docs/policies.md.

Alternatives, and a collection of assets, are several offers beside each other: a buyer may do
what one of its agreements permits. They are counted apart from what one policy says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest

from connector.policy.entitlement import compile_policy
from connector.policy.evaluate import Act, evaluate
from schemas.attested import Attested
from schemas.ids import ParticipantId
from schemas.price import PricePlan, Usage
from schemas.terms import Mode, Terms, UnknownTermError, from_policy, to_policy
from schemas.wire import parse_time
from tests.support.shared import shared
from tests.support.turtle import Graph, read_turtle

LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
MOMENT: Final = timedelta(microseconds=1)  # of the profile's times and of the evaluator's clock
_Period = tuple[datetime | None, datetime | None]
_PERIODS: Final[dict[str, Callable[[datetime], _Period]]] = {  # first and last moments
    "odrl:gteq": lambda time: (time, None),
    "odrl:gt": lambda time: (time + MOMENT, None),
    "odrl:lteq": lambda time: (None, time),
    "odrl:lt": lambda time: (None, time - MOMENT),
}
_ORDERED: Final = {"odrl:dateTime"}  # what lies either before or after a value
Atom = dict[str, list[str]]  # a constraint without alternatives
SUITE: Final = ("standards", "odrl-test-suite", "data")


@dataclass(frozen=True)
class Offer:
    """Terms on which one dataset is offered; None: whichever is asked for."""

    target: str | None
    terms: Terms


@dataclass(frozen=True)
class Case:
    """One case of the suite, as plain values."""

    name: str
    rules: list[dict[str, Any]]  # of the policy; ``kind`` says permission, prohibition or duty
    asked: dict[str, Any]
    now: datetime
    member_of: frozenset[str]  # the collections that the requester belongs to then
    parts: dict[str, list[str]]  # the assets of each collection
    is_permitted: bool


def of_type(graph: Graph, kind: str) -> str:
    [found] = [subject for subject, said in graph.items() if kind in said.get("a", ())]
    return found


def one(said: dict[str, list[str]], predicate: str) -> str | None:
    values = said.get(predicate, [])
    assert len(values) <= 1, values
    return values[0] if values else None


def alternatives(graph: Graph, constraint: str) -> list[list[Atom]]:
    """Return what satisfies a constraint: of one of the lists every part."""
    said = graph[constraint]
    if "odrl:or" in said:
        return [found for part in said["odrl:or"] for found in alternatives(graph, part)]
    if "odrl:and" in said:
        return together([alternatives(graph, part) for part in said["odrl:and"]])
    if one(said, "odrl:operator") == "odrl:neq" and one(said, "odrl:leftOperand") in _ORDERED:
        return [[{**said, "odrl:operator": [other]}] for other in ("odrl:lt", "odrl:gt")]
    return [[said]]


def together(all_of: list[list[list[Atom]]]) -> list[list[Atom]]:
    """Return what satisfies several constraints at once, in the same form."""
    return [[atom for part in chosen for atom in part] for chosen in product(*all_of)]


def rules_of(graph: Graph, subject: str) -> list[dict[str, Any]]:
    found = []
    for kind in ("permission", "prohibition", "obligation"):
        for rule in graph[subject].get(f"odrl:{kind}", ()):
            said = graph.get(rule, {})
            values: dict[str, Any] = {
                name: one(said, f"odrl:{name}") for name in ("assignee", "action", "target")
            }
            choices = [alternatives(graph, c) for c in said.get("odrl:constraint", ())]
            values |= {"kind": kind, "choices": together(choices), "has_duty": "odrl:duty" in said}
            for name in ("assignee", "target"):
                types = graph.get(values[name] or "", {}).get("a", [])
                values[f"{name}_is_many"] = any("Collection" in t for t in types)
            found.append(values)
    return found


def load() -> list[Case]:
    folder = shared(*SUITE)
    policies = {of_type(g, "odrl:Set"): g for g in map(read_turtle, folder.glob("policies/*.ttl"))}
    requests = {
        of_type(g, "odrl:Request"): g for g in map(read_turtle, folder.glob("requests/*.ttl"))
    }
    worlds = {of_type(g, "ex:Sotw"): g for g in map(read_turtle, folder.glob("sotw/*.ttl"))}
    cases = []
    for path in sorted(folder.glob("test_cases/*.ttl")):
        graph = read_turtle(path)
        said = graph[of_type(graph, "ex:TestCase")]
        policy, request, world = (str(one(said, f"ex:{n}")) for n in ("policy", "request", "sotw"))
        [asked] = rules_of(requests[request], request)
        now = one(worlds[world]["temp:currentTime"], "dct:issued")
        reports = [r for r in graph.values() if "report:PermissionReport" in r.get("a", ())]
        active = any("report:Active" in r["report:activationState"] for r in reports)
        cases.append(
            Case(
                path.stem,
                rules_of(policies[policy], policy),
                asked,
                parse_time(str(now)),
                frozenset(worlds[world].get(asked["assignee"], {}).get("odrl:partOf", ())),
                parts_of(worlds[world]),
                is_permitted=active,
            )
        )
    return cases


def parts_of(world: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for member, said in world.items():
        for collection in said.get("odrl:partOf", ()):
            found.setdefault(collection, []).append(member)
    return found


def group_of(collection: str) -> str:
    """Return a collection of parties as the name of a group, which has no colon."""
    return collection.replace(":", ".")


def said_in_profile(case: Case) -> list[Offer] | str:
    """Return a policy as offers in our profile, or why it cannot be said."""
    rules = case.rules
    permissions = [rule for rule in rules if rule["kind"] == "permission"]
    if len(rules) != len(permissions):
        return "a prohibition of use: what is not permitted needs none"
    [rule] = permissions
    if rule["has_duty"]:
        return "a duty that may be fulfilled later"
    values: dict[str, Any] = {"modes": (Mode.QUERY, Mode.READ)}
    if rule["action"] == "odrl:read":
        values["modes"] = (Mode.READ,)
    if rule["assignee"]:
        if rule["assignee_is_many"]:
            values["recipient_groups"] = (group_of(rule["assignee"]),)
        else:
            values["recipients"] = (rule["assignee"],)
    terms: list[Terms] = []
    for constraints in rule["choices"]:
        period = period_of(constraints)
        if isinstance(period, str):
            return period
        terms.append(Terms(redistribution_forbidden=False, **values, **period))
    target = rule["target"]
    targets = case.parts.get(target, []) if rule["target_is_many"] else [target]
    return [Offer(each, one_of) for each in targets for one_of in terms]


def period_of(constraints: list[dict[str, list[str]]]) -> dict[str, datetime | None] | str:
    """Return when all constraints permit use, or which of them is about something else."""
    firsts, lasts = [], []
    for said in constraints:
        left, operator = one(said, "odrl:leftOperand"), str(one(said, "odrl:operator"))
        if left is None:
            return "another logical constraint"
        if left != "odrl:dateTime" or operator not in _PERIODS:
            return f"{left[5:]} {operator[5:]}"
        first, last = _PERIODS[operator](parse_time(str(one(said, "odrl:rightOperand"))))
        firsts += [first] if first else []
        lasts += [last] if last else []
    if firsts and lasts and max(firsts) >= min(lasts):
        return "no period, or a moment"
    return {"valid_from": max(firsts, default=None), "valid_until": min(lasts, default=None)}


def decide(case: Case, offer: Offer) -> bool:
    """Decide as the connector would: the requester holds an agreement with these terms."""
    is_about_it = offer.target in {None, case.asked["target"]}
    if case.asked["action"] != "odrl:read" or not is_about_it:
        return False  # no such act, or another dataset: there is no agreement to act under
    consumer = ParticipantId(str(case.asked["assignee"]))
    policy = to_policy(offer.terms, PricePlan())
    entitlement = compile_policy(policy, consumer_id=consumer, agreed_at=LONG_AGO)
    # the operator attests who belongs to what
    attested = Attested(groups=frozenset(map(group_of, case.member_of)))
    act = Act(Mode.READ, consumer, attested=attested)
    return evaluate(entitlement, act, Usage(), case.now).is_allowed


def how_said(case: Case, offers: list[Offer] | str) -> str:
    if isinstance(offers, str):
        return "not said"
    is_one = len(offers) == 1 and not any(rule["target_is_many"] for rule in case.rules)
    return "said" if is_one else "in offers"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    found = load()
    assert len(found) == 68
    return found


def test_no_policy_of_the_suite_permits_anything_as_it_stands(cases: list[Case]) -> None:
    for case in cases:
        policy = {"@type": "Set", "permission": [dict(rule) for rule in case.rules]}
        with pytest.raises(UnknownTermError):
            from_policy(policy)


def test_the_score_is_the_published_one(cases: list[Case]) -> None:
    score: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in cases:
        offers = said_in_profile(case)
        how = how_said(case, offers)
        is_allowed = not isinstance(offers, str) and any(decide(case, one) for one in offers)
        assert not (is_allowed and not case.is_permitted), case.name  # never more than the suite
        outcome = "agrees" if is_allowed == case.is_permitted else "denies more"
        score[f"{how}, {outcome}"] += 1
        if outcome == "denies more":
            reasons[offers if isinstance(offers, str) else f"action {case.asked['action']}"] += 1
    assert dict(score) == {
        "said, agrees": 34,
        "said, denies more": 2,
        "in offers, agrees": 12,
        "not said, agrees": 16,
        "not said, denies more": 4,
    }
    assert dict(reasons) == {
        "action odrl:write": 2,
        "dateTime eq": 1,
        "a duty that may be fulfilled later": 3,
    }
