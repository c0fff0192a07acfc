"""Who is missed where not all users lie in memory, so that the index lists by vectors who is scored.

    python benchmarks/shortlist.py WORKDIR LAKE [--k 50] [--out FILE]

WORKDIR is that of `found evaluate LAKE`. Of the best k users by final scores, every user scored, the share that is
among the first 4 k by vectors; demands are texts of the lake and the scenarios' own.
"""

import numpy as np
from evaluated import arguments, runs, tell

from model.data import open_pairs
from model.evaluation.runs import open_run
from model.known_texts import KnownTexts
from model.placed import Histories
from model.scores import inner_products

LISTED = 4
TEXTS = 12


def first(score_B: "np.ndarray", count: int) -> set[int]:
    return set(np.argpartition(-score_B, count - 1)[:count].tolist())


def main() -> None:
    parse = arguments(__doc__)
    parse.add_argument("--k", type=int, default=50)
    given = parse.parse_args()
    shares: list[float] = []
    for work, scenarios in runs(given)[0]:
        run = open_run(work, scenarios[0].cutoff)
        histories = Histories.of(run.users.texts)
        known = KnownTexts(run.model, run.vectors, histories.key_V)
        texts = open_pairs(work.pairs).texts()[1]
        drawn = [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:TEXTS]]
        demands = [*drawn, *(scenario.demand for scenario in scenarios)]
        for demand in run.model.read_demands(demands, scenarios[0].cutoff):
            asked, product_B = known.asked(demand, histories.place_N), inner_products(run.users.vectors, demand.vector)
            best = first(histories.scores(asked, product_B), given.k)
            shares.append(len(best & first(product_B, LISTED * given.k)) / given.k)
    told = {"k": given.k, "listed": LISTED * given.k, "demands": len(shares)}
    tell(told | {"mean": float(np.mean(shares)), "worst": min(shares)}, given.out, without="")


if __name__ == "__main__":
    main()
