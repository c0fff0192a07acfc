"""A small grammar of English demands: wishes in a row, each with its verb, negation, time, counts, amounts, profile.

A wish without a verb takes over the verb of the one before ("tea or coffee"), and its negation unless "but" stands
between. "Not tea or coffee" is neither. What nothing else claims is the topic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from model.rewriting.document import AND, ANY, FUTURE, OR, Behaviour, Condition, Profile
from model.rewriting.drafts import BUT, COMMA, Draft, read_drafts
from model.rewriting.marks import Scanner, Verb, normalised
from model.rewriting.times import Period, Time
from model.rewriting.words import LakeWords

MOST_CHARACTERS = 1_000
MOST_CONDITIONS = 24
"""What is longer is no demand: the rest of it is not read."""


@dataclass(frozen=True)
class Parsed:
    """The conditions, those of the profile first; `rest` was not understood, `notes` are for the reader."""

    conditions: tuple[Condition, ...]
    rest: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class Wish:
    """A draft with what it took over from the wish before."""

    draft: Draft
    verb: Verb | None
    tense: str
    topic: str
    negated: bool
    joined: str
    shares: bool
    """Does it share details with the wish before, being one of several things to one verb?"""
    times: list[tuple[Time | Period, str]] = field(default_factory=list)


class Grammar:
    """The grammar over one lake's words, as of a day."""

    def __init__(self, words: LakeWords, day: date) -> None:
        self.words, self.day, self.scanner = words, day, Scanner(words, day)

    def parse(self, demand: str) -> Parsed:
        """Never raises: whatever is not understood is in `rest`."""
        drafts = list(read_drafts(self.scanner.marks(normalised(demand[:MOST_CHARACTERS]))))
        _settle_commas(drafts)
        profiles = _profiles(drafts)
        wishes = _wishes([draft for draft in drafts if draft.is_behaviour])
        behaviours: list[Behaviour] = []
        late: list[str] = []
        notes: list[str] = []
        for wish in wishes:
            behaviours.append(self._behaviour(wish, first=not behaviours))
            late += [text for _, text in wish.times[1:]]
            if wish.verb and wish.verb.source and not behaviours[-1].source:
                notes.append(f"this lake has no {wish.verb.source}, so events of any source are meant")
        conditions: tuple[Condition, ...] = (*profiles, *behaviours)
        unread = [" ".join(filter(None, (c.joined, getattr(c, "topic", "")))) for c in conditions[MOST_CONDITIONS:]]
        unknown = [text for draft in drafts for text in draft.unknown]
        rest = (*unknown, *late, *unread, demand[MOST_CHARACTERS:].strip())
        return Parsed(conditions[:MOST_CONDITIONS], tuple(filter(None, rest)), tuple(dict.fromkeys(notes)))

    def _behaviour(self, wish: Wish, *, first: bool) -> Behaviour:
        draft = wish.draft
        time = wish.times[0][0] if wish.times else None
        tense = (time.tense if isinstance(time, Time) else "") or wish.tense
        if isinstance(time, Period):
            time = time.time(self.day, tense)
            tense = time.tense or tense
        source = wish.verb.source if wish.verb else ANY
        if not source and (draft.amounts or draft.channels):
            source = "bills"
        return Behaviour(
            source=source if source in self.words.sources else ANY,
            topic=wish.topic,
            tense=tense or FUTURE,
            negated=wish.negated,
            window=time.window if time else None,
            count=draft.counts[0] if draft.counts else None,
            amount=draft.amounts[0] if draft.amounts else None,
            channel=draft.channels[0] if draft.channels else "",
            joined=AND if first else wish.joined,
        )


def _settle_commas(drafts: Sequence[Draft]) -> None:
    """A comma in a list of things stands for the word that ends the list: "tea, milk or coffee"."""
    for place, draft in enumerate(drafts):
        if draft.joint == COMMA:
            following = drafts[place + 1 :] if not draft.verb else []
            ending = next((d for d in following if d.joint != COMMA or d.verb), None)
            in_list = ending is not None and not ending.verb and ending.joint in (AND, OR)
            draft.joint = ending.joint if ending and in_list else AND


def _profiles(drafts: Sequence[Draft]) -> list[Profile]:
    """The profile conditions in order."""
    found: list[Profile] = []
    for place, draft in enumerate(drafts):
        after_profile = place > 0 and bool(drafts[place - 1].profiles) and not drafts[place - 1].is_behaviour
        for profile in (p for group in draft.profiles for p in group):
            either = after_profile and draft.joint == OR and profile is draft.profiles[0][0]
            if found and (either or _excludes(found[-1], profile)):
                profile = replace(profile, joined=OR)
            found.append(profile)
    return found


def _excludes(one: Profile, other: Profile) -> bool:
    """Can nobody be both? "Men and women" are men or women."""
    wanted = not one.negated and not other.negated
    return bool(wanted and one.value and other.value and one.column == other.column)


def _wishes(drafts: Sequence[Draft]) -> list[Wish]:
    wishes: list[Wish] = []
    for draft in drafts:
        if wishes and _is_how_it_was_paid(draft, wishes[-1]):
            wishes[-1].draft.channels += draft.channels
        elif wishes or draft.stands_alone:
            wishes.append(_wish(draft, wishes[-1] if wishes else None))
    _share(wishes)
    return wishes


def _is_how_it_was_paid(draft: Draft, before: Wish) -> bool:
    """ "and paid by cash" says more about the purchase before it."""
    paid = draft.verb and draft.verb.source == "bills" and draft.channels
    silent = not (draft.topic or draft.times or draft.counts or draft.amounts or draft.negations)
    return bool(paid and silent and draft.joint == AND and before.verb and before.verb.source == "bills")


def _wish(draft: Draft, before: Wish | None) -> Wish:
    """What a draft says after the one before it."""
    own = draft.negations % 2 == 1
    joined = OR if draft.joint == OR else AND
    verb, tense, topic = draft.verb, draft.tense or (draft.verb.tense if draft.verb else ""), draft.topic
    if draft.idle:
        return Wish(draft, verb, tense, topic, not own, joined, shares=False, times=draft.times)
    if before is None or before.draft.idle:
        return Wish(draft, verb, tense, topic, own, joined, shares=False, times=draft.times)
    follows = verb is None and not (topic and (draft.tense or draft.relative))
    takes_negation = not draft.negations and draft.joint != BUT and before.negated
    if verb is not None and verb.form == "past":
        takes_negation = takes_negation and draft.joint == OR
    elif verb is not None and draft.tense:
        takes_negation = False
    negated = before.negated if takes_negation else own
    joined = AND if takes_negation else joined
    if follows:
        verb, topic = before.verb, topic or before.topic
    is_list = follows and bool(draft.topic) and not draft.negations and draft.joint != BUT
    times = draft.times or (before.times[:1] if follows and not is_list else [])
    if verb is not None and verb.form == "base" and before.verb and before.verb.form == "past":
        tense = tense or FUTURE
    return Wish(draft, verb, tense or before.tense, topic, negated, joined, shares=is_list, times=times)


def _share(wishes: Sequence[Wish]) -> None:
    """The only time of several things to one verb is that of all; so is a detail before the first or after the last."""
    start = 0
    for place in range(1, len(wishes) + 1):
        if place < len(wishes) and wishes[place].shares:
            continue
        group = wishes[start:place]
        timed = [wish for wish in group if wish.times]
        for wish in group:
            if len(timed) == 1:
                wish.times = timed[0].times
            for name in ("counts", "amounts", "channels"):
                told = [other for other in group if getattr(other.draft, name)]
                leads = told == group[:1] and name.removesuffix("s") in group[0].draft.leads
                if told == group[-1:] or leads:
                    setattr(wish.draft, name, getattr(told[0].draft, name))
        start = place
