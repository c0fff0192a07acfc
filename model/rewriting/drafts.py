"""One wish of a demand while it is read: what its own words say, before it takes over anything from the wish before."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from model.rewriting.document import AND, PAST, Amount, Comparison, Profile
from model.rewriting.marks import Mark, Verb
from model.rewriting.phrases import ADDRESSED, ALSO_NOUNS, FILLER, LEADS_IN, TRAILING
from model.rewriting.times import Period, Time

BUT, COMMA = "but", ","
_OF = (" of", " to", " for", " on", " at", " about")
"""Ends the noun of an event that is done: "paid a visit to"."""
_DETERMINERS = frozenset("all any the our my those".split())


@dataclass
class Draft:
    """`joint` is what stood before it: and, or, but, a comma."""

    joint: str = AND
    is_first: bool = True
    """Has nothing that happens been said yet?"""
    negations: int = 0
    verb: Verb | None = None
    tense: str = ""
    idle: bool = False
    people: bool = False
    relative: bool = False
    words: list[str] = field(default_factory=list)
    times: list[tuple[Time | Period, str]] = field(default_factory=list)
    counts: list[Comparison] = field(default_factory=list)
    amounts: list[Amount] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    profiles: list[tuple[Profile, ...]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    objects: int = 0
    leads: set[str] = field(default_factory=set)
    """The kinds of details that stand before the first object: those of all objects."""

    @property
    def topic(self) -> str:
        """The words without those that say nothing at either end."""
        words = " ".join(self.words).split()
        while words and words[0] in FILLER:
            words.pop(0)
        while words and words[-1] in TRAILING:
            words.pop()
        return "" if set(words) <= FILLER else " ".join(words)

    @property
    def has_details(self) -> bool:
        return bool(self.times or self.counts or self.amounts or self.channels)

    @property
    def is_behaviour(self) -> bool:
        """Does it say that something happens, by itself or after a wish that does?"""
        return bool(self.stands_alone or (not self.profiles and (self.negations or self.tense)))

    @property
    def stands_alone(self) -> bool:
        return bool(self.topic or self.verb or self.idle or self.has_details)

    @property
    def is_empty(self) -> bool:
        return not (self.is_behaviour or self.profiles or self.unknown or self.negations)

    def add(self, mark: Mark) -> None:
        """Takes over what a mark says; what stands where it cannot mean this is a word like any other."""
        read = getattr(self, f"_{mark.kind}", None)
        if read is not None:
            read(mark)
        elif held := getattr(self, f"{mark.kind}s"):
            self.unknown.append(mark.text)
        else:
            held.append(mark.value)
            self.leads |= {mark.kind} if not self.objects else set()

    def _words(self, mark: Mark) -> None:
        self.words.append(mark.text)
        told = self.verb or self.tense or self.relative
        self.objects += bool(told) and not set(mark.text.split()) <= FILLER

    def _verb(self, mark: Mark) -> None:
        verb: Verb = mark.value
        if verb.form == "noun" and mark.text.endswith(_OF) and self._may_do():
            self.verb, self.objects = Verb(verb.source, self.verb.form if self.verb else "noun"), 0
            self.words.clear()
            return
        leads = self.verb is None or (not self.verb.source and bool(verb.source))
        led = self.relative or self.tense or self.negations
        noun = not self.is_first and not self.people and mark.text.rstrip("s") in ALSO_NOUNS
        bare = verb.form == "base" and not led and (self.topic or noun)
        if leads and not self.objects and not bare and not self.idle:
            self.verb = mark.value
        else:
            self._words(mark)

    def _may_do(self) -> bool:
        """Is what was read so far but the verb of an event's noun, known or not: "paid a", "followed a"?"""
        unknown = self.verb is None and (self.relative or self.negations)
        return bool(unknown or (self.verb and not self.objects))

    def _tense(self, mark: Mark) -> None:
        if self.verb or self.objects:
            self._words(mark)
        self.tense = self.tense or mark.value

    def _negation(self, mark: Mark) -> None:
        self.negations += 1
        self.tense = self.tense or (PAST if mark.value else "")

    def _idle(self, mark: Mark) -> None:
        self.idle, self.tense = True, self.tense or mark.value

    def _time(self, mark: Mark) -> None:
        self.times.append((mark.value, mark.text))

    def _count(self, mark: Mark) -> None:
        found, source = mark.value
        if self.counts:
            self.unknown.append(mark.text)
            return
        self.counts.append(found)
        self.leads |= {mark.kind} if not self.objects else set()
        if source and (self.verb is None or not self.verb.source):
            self.verb = Verb(source, "noun")

    def _unknown(self, mark: Mark) -> None:
        self.unknown.append(mark.text)

    def _people(self, mark: Mark) -> None:
        relative = mark.text in ("who", "whom")
        told = self.people or self.profiles or not relative
        if self.is_first and told and mark.text.endswith(("who", "that", "which")):
            self._begin()
        within = self.verb or self.tense or self.objects or (self.topic and not self.is_first)
        if within and not relative and not self.idle:
            self._words(mark)
        else:
            self._address(mark.text.split()[0] in _DETERMINERS)
        self.people = True
        self.relative = self.relative or mark.text.endswith(("who", "whom", "that", "which"))

    def _begin(self) -> None:
        """ "I am after people who": all before it is no wish, but one word alone describes the people."""
        if self.verb or self.tense or len(self.words) > 1 or len(self.topic.split()) > 1:
            self.words.clear()
            self.verb, self.tense, self.objects = None, "", 0

    def _address(self, determined: bool) -> None:
        """Forgets what was said to come to the people; a word right before them describes them."""
        if self.is_first and (determined or re.search(ADDRESSED, " ".join(self.words))):
            self.words.clear()

    def _person(self, mark: Mark) -> None:
        """A woman is an audience before the verb, and a word after it: "a handbag for women"."""
        if re.search(LEADS_IN, " ".join(self.words)):
            self._address(determined=True)
        in_topic = re.search(r"\b(?:for|of|by)$", " ".join(self.words)) or (self.topic and not self.is_first)
        if self.verb or self.tense or self.objects or in_topic:
            self._words(mark)
        elif mark.value is True:
            self.unknown.append(mark.text)
        else:
            self._profile(mark)

    def _profile(self, mark: Mark) -> None:
        """A negation with nothing else to negate is the profile's: "except women". Not (a or b) is not a and not b."""
        if self.negations % 2 and not (self.verb or self.tense or self.idle or self.topic):
            self.negations = 0
            self.profiles.append(tuple(replace(p, negated=not p.negated, joined=AND) for p in mark.value))
        else:
            self.profiles.append(mark.value)

    def _lovers(self, mark: Mark) -> None:
        if not self.topic or self.verb or self.tense:
            self._words(mark)

    def _opening(self, mark: Mark) -> None:
        if not self.is_empty or self.people or self.tense:
            self._words(mark)

    def _filler(self, mark: Mark) -> None:
        """Says nothing."""


def read_drafts(marks: Sequence[Mark]) -> Iterator[Draft]:
    """The wishes between the joints; empty ones are left out, their joint kept."""
    draft = Draft()
    for mark in marks:
        turns = mark.kind == "negation" and draft.objects and mark.text not in ("nothing", "none")
        if mark.kind != "joint" and not turns:
            draft.add(mark)
            continue
        joint, negates = mark.value if mark.kind == "joint" else (BUT, True)
        if not draft.is_empty:
            yield draft
            draft = Draft(joint, draft.is_first and not draft.is_behaviour, int(negates))
        else:
            draft.joint = draft.joint if joint == COMMA else joint
            draft.negations = max(draft.negations, int(negates))
    if not draft.is_empty:
        yield draft
