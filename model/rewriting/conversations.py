"""Stage A of fine-tuning: conversations about the lake, from its own texts and users (paper, section 4.4.1).

They say what the texts mean, which templates and profile columns there are, and what users do together. The draws
depend on the pairs and the seed alone.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import EVENT_TEMPLATES, NOTHING, PAYMENT, Template
from model.concepts import find_concepts
from model.data import Pairs, array
from model.rewriting.lake import KnownLake
from model.rewriting.prompts import MOST_VALUES_SHOWN, Chat

SYSTEM = "You know the event lake {lake} and answer questions about it."
MOST_USERS = 2_000
"""So many users at their cut-offs tell what occurs together."""
MOST_SHOWN = 5

Turn = tuple[str, str]


@dataclass(frozen=True)
class Facts:
    """What conversations draw from. `histories` are sets of rows of `lake.texts`, one per user and cut-off."""

    pairs: Pairs
    lake: KnownLake
    histories: tuple[frozenset[int], ...]
    words: tuple[str, ...]
    member_VC: "np.ndarray"


def gather_facts(pairs: Pairs, lake: KnownLake) -> Facts:
    """The facts of these pairs."""
    concepts = find_concepts(lake.texts, lake.is_event_V)
    return Facts(pairs, lake, tuple(_histories(pairs, lake)), concepts.words, concepts.member_VC)


def conversations(facts: Facts, *, count: int, seed: int) -> list[Chat]:
    """`count` conversations of three to five turns, each around one text that occurs."""
    seen = sorted(set().union(*facts.histories)) or np.flatnonzero(facts.lake.is_event_V).tolist()
    return [_conversation(facts, seen, random.Random(f"{seed} {number}")) for number in range(count)]


def _conversation(facts: Facts, seen: Sequence[int], rng: random.Random) -> Chat:
    general = rng.sample([_lake, _templates, _profile], rng.randint(1, 2))
    row = rng.choice(seen)
    turns = [turn(facts) for turn in general]
    turns += [_meaning(facts, row), _together(facts, row)]
    turns += [_concept(facts, rng)] if facts.words else []
    chat = [{"role": "system", "content": SYSTEM.format(lake=facts.pairs.manifest["lake"])}]
    for asked, told in turns:
        chat += [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]
    return chat


def _lake(facts: Facts) -> Turn:
    words, manifest = facts.lake.words, facts.pairs.manifest
    horizon = manifest["windows"]["horizon_days"]
    return (
        "What does this lake record?",
        f"{manifest['lake']} records {_listed(words.sources)} in {words.currency or 'an unnamed currency'}: "
        f"{len(facts.lake.texts)} distinct texts. A future is the {horizon} days after a cut-off.",
    )


def _templates(facts: Facts) -> Turn:
    asked = "Which sentences describe what a user of this lake does?"
    own = [EVENT_TEMPLATES[source] for source in facts.lake.words.sources]
    told = [f"{t.kind}: '{t.lead}...', in short '{t.summary}'" for t in own]
    told += [f"payment: '{PAYMENT.lead}{channel}'" for channel in facts.lake.words.channels[:MOST_SHOWN]]
    return asked, f"{'; '.join(told)}. Someone without events: '{NOTHING}'."


def _profile(facts: Facts) -> Turn:
    words = facts.lake.words
    told = [f"{name} (a number)" for name in words.numbers]
    told += [f"{name} ({', '.join(values[:MOST_VALUES_SHOWN])})" for name, values in words.categories.items()]
    return "What do profiles say?", f"{'; '.join(told)}." if told else "There are no profiles."


def _meaning(facts: Facts, row: int) -> Turn:
    text = facts.lake.texts[row]
    own = [t for t, told in zip(_every_template(), facts.lake.source_VS[row], strict=True) if told]
    told = " or ".join(f"a {t.kind} event ({t.source}): {t.lead}{text}" for t in own)
    return f"What does the text '{text}' mean?", f"It is {told}." if told else "It is known from futures alone."


def _every_template() -> list[Template]:
    return [EVENT_TEMPLATES[source] for source in EVENT_SOURCES]


def _together(facts: Facts, row: int) -> Turn:
    """The texts that most users with this one have too; ties in the order of the text."""
    text, texts = facts.lake.texts[row], facts.lake.texts
    counts = Counter(other for history in facts.histories if row in history for other in history if other != row)
    best = sorted(counts, key=lambda other: (-counts[other], texts[other]))[:MOST_SHOWN]
    told = ", ".join(f"'{texts[other]}' ({counts[other]} users)" for other in best)
    return f"What else do users with '{text}' do?", f"{told}." if told else "Nothing that others do too."


def _concept(facts: Facts, rng: random.Random) -> Turn:
    place = rng.randrange(len(facts.words))
    rows = np.flatnonzero(facts.member_VC[:, place])[:MOST_SHOWN]
    told = ", ".join(f"'{facts.lake.texts[row]}'" for row in rows)
    return f"Which texts are about '{facts.words[place]}'?", f"{told}."


def _histories(pairs: Pairs, lake: KnownLake) -> list[frozenset[int]]:
    """The first users' histories as rows of the lake's texts."""
    keys, strings = pairs.texts()
    row_of = {text: row for row, text in enumerate(lake.texts)}
    by_key = {int(key): row_of[text] for key, text in zip(keys, strings, strict=True)}
    names = [f"{source}_text" for source in EVENT_SOURCES]
    found: list[frozenset[int]] = []
    for path in pairs.files:
        table = pq.read_table(str(path), columns=names)
        for own in np.concatenate([array(table[name]) for name in names], axis=1):
            found.append(frozenset(by_key[key] for key in own.tolist() if key))
            if len(found) == MOST_USERS:
                return found
    return found


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "nothing"
