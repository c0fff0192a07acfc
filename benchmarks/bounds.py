"""What bounds of scores leave open (model/bounds.py): who may be among the best, and how many will do what is asked,
against all pairs of user and text.

    python benchmarks/bounds.py WORKDIR [--users 100000] [--sentences 200] [--k 1000] [--out FILE]

Users are like those of WORKDIR (a finished run), with their weighted texts; sentences are its texts.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from populations import Real, like, real

from model.placed import Histories
from model.served import ServedModel
from serving.held import Held
from serving.held_facts import HeldFacts
from serving.nearly import ROUNDING, Nearly
from serving.question import Asked
from serving.ranking import UNSURE
from serving.remembered import Users

QUANTILES = (0.5, 0.9, 1.0)


def held_by(source: Real, model: ServedModel, count: int) -> Held:
    """So many users in memory, without an index."""
    vectors, own = like(source, count, seed=1)
    texts = [(k.values.to_numpy(), w.values.to_numpy()) for k, w in zip(source.keys, source.weights, strict=True)]
    histories = Histories.of([texts[place] for place in own.tolist()])
    known = model.known(model.text_vectors(source.work.text_cache), histories.key_V).hold()
    users = Users([f"u{at:08d}" for at in range(count)], vectors, histories)
    return Held(users, HeldFacts(count, {}), known, None)  # type: ignore[arg-type]  # nobody else is asked about


def of_sentence(held: Held, model: ServedModel, source: Real, sentence: str, k: int) -> tuple[int, int, float]:
    """How many may be among the best k by bounds, how many of these k are not among them, and the expected size as a
    ratio to that of all pairs."""
    demands, everybody = model.read_demands([sentence], source.day.ds), np.arange(len(held.names))
    nearly = Nearly(held, [Asked(sentence)], demands, model.probabilities)
    listed = nearly.best(everybody, k, len(everybody))
    score_B = held.nearly(demands[0])
    best = np.flatnonzero(score_B > np.partition(score_B, -k)[-k] + ROUNDING)
    sizes = [float(model.probabilities(scores).sum()) for scores in (nearly.scores, score_B)]
    return len(listed), len(np.setdiff1d(best, listed)), sizes[0] / sizes[1]


def quantiles(values: "np.ndarray", digits: int) -> dict[str, float]:
    return {str(share): round(float(np.quantile(values, share)), digits) for share in QUANTILES}


def run(given: argparse.Namespace) -> dict[str, Any]:
    source = real(given.workdir)
    model = ServedModel.from_pretrained(source.work.models / source.day.model_version)
    held = held_by(source, model, given.users)
    sentences = source.sentences(given.sentences, seed=3)
    listed, missed, ratio = np.array([of_sentence(held, model, source, said, given.k) for said in sentences]).T
    return {
        "users": given.users,
        "texts_per_user": round(float(np.mean([len(own) for own in source.keys])), 1),
        "k": given.k,
        "sentences": len(sentences),
        "listed": quantiles(listed, 0),
        "read in full": round(float((listed > given.k + UNSURE).mean()), 4),
        "missed": int(missed.sum()),
        "size off by": quantiles(np.abs(ratio - 1), 4),
    }


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("workdir", type=Path)
    parse.add_argument("--users", type=int, default=100_000)
    parse.add_argument("--sentences", type=int, default=200)
    parse.add_argument("--k", type=int, default=1_000)
    parse.add_argument("--out", type=Path)
    given = parse.parse_args()
    text = json.dumps(run(given), indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
