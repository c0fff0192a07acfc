"""Five other ways to say a demand, by rules of English alone; they know no lake.

A demand is split into who is meant and what they do ("customers" who "buy tea", "families" who "be planning a picnic",
"people" who "enjoy horror"). Both go into a sentence of another kind - a question, an order, a wish, the reason for a
mailing, and what is done said first - twice with a verb of like meaning, with other general nouns for people. No
paraphrase has the form of a sentence that alignment trains on (model/concepts.py).
A lake can bring its own: a list `paraphrases` of a scenario in scenarios.yaml goes before these rules.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from feature_repo.contracts.errors import FoundError

COUNT = 5
BY_RULES, BY_THE_LAKE = "rules of grammar", "the lake's own"

_GENERAL = "customers clients people users shoppers buyers consumers viewers visitors members".split()
"""Nouns that say nothing but that people are meant: alone, they are exchanged."""
_PEOPLE = rf"(?P<people>(?:[a-z-]+ ){{0,2}}?(?:{'|'.join(_GENERAL)}|families|households|(?:card|account) ?holders))"
_WHO = r"(?:who|that|which)"
_COMING = r"(?:going|about|likely|set|due|expected|bound) to"
_FORMS = (
    (rf"{_PEOPLE} (?:{_WHO} )?(?:will|(?:are )?{_COMING}) (?P<does>.+)", "{}"),
    (rf"{_PEOPLE} (?:{_WHO} are )?interested in (?P<does>.+)", "take an interest in {}"),
    (rf"{_PEOPLE} (?:{_WHO} are )?(?P<does>[a-z]+ing\b.*)", "be {}"),
    (rf"{_PEOPLE} {_WHO} are (?P<does>.+)", "be {}"),
    (rf"{_PEOPLE} {_WHO} (?P<does>.+)", "{}"),
    (r"(?:the )?(?:fans|lovers|enthusiasts|addicts) of (?P<does>.+)", "enjoy {}"),
    (r"(?P<does>.+) (?:fans|lovers|enthusiasts|addicts)", "enjoy {}"),
    (r"(?P<does>.+)", "have to do with {}"),
)
"""Demands and the infinitive of what they say, the first that fits; the last fits anything."""

_LIKE: Mapping[str, str] = {
    "buy": "purchase",
    "purchase": "buy",
    "order": "place an order",
    "rate": "give a rating to",
    "watch": "see",
    "view": "look at",
    "visit": "go to",
    "search for": "look for",
    "look for": "search for",
    "repay": "pay back",
    "spend": "pay out",
    "return": "send back",
    "use up": "exhaust",
    "need": "require",
    "enjoy": "be fond of",
    "take an interest in": "care about",
    "be planning": "be thinking of",
    "be preparing": "be getting ready for",
    "be choosing": "be looking for",
}
"""Verbs and one of like meaning."""


def paraphrases(demand: str) -> tuple[str, ...]:
    """COUNT sentences, all different; the same for the same demand."""
    people, does = _split(demand.strip().rstrip(".!?"))
    one, other = _renamed(people)
    alike = _said_alike(does)
    return (
        f"Which {one} would {does}?",
        f"Find the {other} that can be expected to {alike}",
        f"I would like a word with {one} on course to {does}",
        f"Our next mailing goes to {other}, as they may soon {alike}",
        f"To {does}: that is what these {one} have ahead of them",
    )


def read_paraphrases(path: Path) -> dict[str, tuple[str, ...]]:
    """{scenario: its own paraphrases} of those scenarios of a `scenarios.yaml` that bring some."""
    found: dict[str, tuple[str, ...]] = {}
    for scenario in yaml.safe_load(path.read_text()):
        own = scenario.get("paraphrases")
        if own is None:
            continue
        if not isinstance(own, list) or len(own) < 2 or not all(isinstance(one, str) and one.strip() for one in own):
            raise FoundError(
                f"{path}: `paraphrases` of scenario {scenario['id']!r} must be a list of two or more sentences, "
                f"found {own!r}."
            )
        found[str(scenario["id"])] = tuple(own)
    return found


def _split(demand: str) -> tuple[str, str]:
    said = demand[:1].lower() + demand[1:] if demand[1:2].islower() else demand
    for pattern, form in _FORMS:
        if match := re.fullmatch(pattern, said, re.IGNORECASE | re.DOTALL):
            return match.groupdict().get("people") or "people", form.format(match["does"])
    return "people", f"have to do with {said}"


def _renamed(people: str) -> tuple[str, str]:
    """The people under two other names, where theirs is a general one."""
    names = [name for name in ("people", "individuals", "clients") if name != people.lower()]
    return (names[0], names[1]) if people.lower() in _GENERAL else (people, people)


def _said_alike(does: str) -> str:
    for verb, other in _LIKE.items():
        if re.match(rf"{verb}\b", does):
            return f"{other}{does[len(verb) :]}"
    return does
