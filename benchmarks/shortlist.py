"""Who is listed before everything is scored: the best by vectors, and the best by estimated scores (model/postings.py).

    python benchmarks/shortlist.py WORKDIR LAKE [--k 50] [--out FILE]

WORKDIR is that of `found evaluate LAKE`. Of the best k users by final scores, every user scored, the share that is
among the first 4 k by each; demands are texts of the lake and the scenarios' own.
"""

import numpy as np
from evaluated import arguments, runs, tell

from model.data import open_pairs
from model.evaluation.runs import open_run
from model.known_texts import KnownTexts
from model.placed import Histories
from model.postings import Postings
from model.scores import inner_products

LISTED = 4
TEXTS = 12


def first(score_B: "np.ndarray", count: int) -> set[int]:
    return set(np.argpartition(-score_B, count - 1)[:count].tolist())


def main() -> None:
    parse = arguments(__doc__)
    parse.add_argument("--k", type=int, default=50)
    given = parse.parse_args()
    shares: dict[str, list[float]] = {"vectors": [], "estimates": []}
    for work, scenarios in runs(given)[0]:
        run = open_run(work, scenarios[0].cutoff)
        histories = Histories.of(run.users.texts)
        known, postings = KnownTexts(run.model, run.vectors, histories.key_V), Postings(histories)
        texts = open_pairs(work.pairs).texts()[1]
        drawn = [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:TEXTS]]
        demands = [*drawn, *(scenario.demand for scenario in scenarios)]
        for demand in run.model.read_demands(demands, scenarios[0].cutoff):
            asked, product_B = known.asked(demand), inner_products(run.users.vectors, demand.vector)
            best = first(histories.scores(asked, product_B), given.k)
            for way, score_B in (("vectors", product_B), ("estimates", postings.estimated(asked, product_B))):
                shares[way].append(len(best & first(score_B, LISTED * given.k)) / given.k)
    ways = {way: {"mean": float(np.mean(each)), "worst": min(each)} for way, each in shares.items()}
    tell({"k": given.k, "listed": LISTED * given.k, "demands": len(shares["vectors"]), **ways}, given.out, without="")


if __name__ == "__main__":
    main()
