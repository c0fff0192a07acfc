"""`python -m model.rewriting.measure --workdir DIR`: how well demands of known rewriting are rewritten."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from model.rewriting.document import Behaviour, Condition, Rewritten
from model.rewriting.opening import open_rewriter
from model.rewriting.phrases import FILLER
from model.rewriting.phrasings import HELD_OUT, WRITTEN_WITH
from model.rewriting.synthesis import Example, examples


@dataclass(frozen=True)
class Score:
    """Shares of the demands with all conditions right, and all right but for topics; of the single conditions that were
    found; of the texts behind the topics that are among the sentences."""

    conditions: float
    conditions_but_topics: float
    single_conditions: float
    sentences: float


def score(rewrite: Callable[[str], Rewritten], asked: Sequence[Example]) -> Score:
    """How `rewrite` answers these demands. A topic is right when it has the same words, filler left out."""
    answers = [rewrite(example.demand) for example in asked]
    pairs = list(zip(answers, asked, strict=True))
    exact = sum(is_right(a.conditions, e.rewritten.conditions) for a, e in pairs)
    but_topics = sum(is_right(_bare(a.conditions), _bare(e.rewritten.conditions)) for a, e in pairs)
    found = sum(text in {s.text for s in a.sentences} for a, e in pairs for text in e.texts)
    single = sum(_plainly(c) in set(map(_plainly, a.conditions)) for a, e in pairs for c in e.rewritten.conditions)
    return Score(
        conditions=exact / len(pairs),
        conditions_but_topics=but_topics / len(pairs),
        single_conditions=single / sum(len(e.rewritten.conditions) for e in asked),
        sentences=found / max(1, sum(len(e.texts) for e in asked)),
    )


def is_right(found: Sequence[Condition], known: Sequence[Condition]) -> bool:
    """Are these the same conditions, in the same order?"""
    return list(map(_plainly, found)) == list(map(_plainly, known))


def _plainly(condition: Condition) -> Condition:
    if not isinstance(condition, Behaviour):
        return condition
    return replace(condition, topic=" ".join(w for w in condition.topic.split() if w not in FILLER))


def _bare(conditions: Sequence[Condition]) -> list[Condition]:
    return [replace(c, topic="") if isinstance(c, Behaviour) else c for c in conditions]


def report(workdir: str, *, count: int, seed: int) -> str:
    """Both lists of phrasings, a row each."""
    settings = read_settings(os.environ, Path.cwd()).with_arguments({"workdir": workdir or None})
    rewriter = open_rewriter(settings, day=None)
    rows = [f"{'phrasings':12}  all conditions  all but topics  single conditions  sentences found"]
    for name, phrasings in (("written with", WRITTEN_WITH), ("held out", HELD_OUT)):
        asked = examples(rewriter.lake, phrasings, count=count, seed=seed, day=rewriter.day)
        found = score(rewriter.rewrite, asked)
        shares = f"{found.conditions:14.1%}  {found.conditions_but_topics:14.1%}  {found.single_conditions:17.1%}"
        shares += f"  {found.sentences:15.1%}"
        rows.append(f"{name:12}  {shares}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.rewriting.measure", description=__doc__)
    parser.add_argument("--workdir", default="")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        print(report(given.workdir, count=given.count, seed=given.seed))
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
