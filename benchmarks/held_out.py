"""How a recipe is chosen: on a cut-off before the scenarios', by demands that training never saw.

    python benchmarks/held_out.py WORKDIR [--seeds 0,1,2] [--set stage2.steps=150 ...]

WORKDIR is a sub-run of `found evaluate` (WORKDIR/evaluation/CUTOFF_HORIZONd): its pairs end by the scenarios' cut-off.
The newest cut-off is held out: training reads the pairs whose futures end by it, and the users are asked there for
words of their futures that no concept of the training holds, in phrasings that training never saw; for several such
words at once; and for being active at all, or not.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.templates import BROWSE, CLICK, NOTHING, PURCHASE, SEARCH, text_key
from feature_repo.contracts.windows import day_number
from model import sentences, train
from model.concepts import find_concepts
from model.config import Recipe
from model.data import Columns, Pairs, open_pairs, read_file_pyarrow
from model.distributed import Ranks
from model.evaluation.metrics import MIN_SIDE, auc
from model.found import FoundModel
from model.recipes import found_default
from model.text_cache import CachedEncoder
from model.text_encoder import TextEncoder

DEMANDS = 60
BASE_RATES = (0.02, 0.5)
USERS = 4_000
GROUPS = 30
BROAD = {
    PURCHASE.summary: ("Shoppers we will see again", "Everybody who orders anything in this period"),
    BROWSE.summary: ("Users we will see again", "Everybody who is going to watch or read something"),
    SEARCH.summary: ("Everybody who types something into the search box",),
    CLICK.summary: ("Everybody who uses the site",),
    NOTHING: ("Lapsing customers", "Everybody who stays away for good"),
}
"""What says that it happened, and demands for it."""
PHRASINGS = ("Shoppers about to get {}", "Anyone into {} soon", "{} lovers", "Who is going for {} next?")


@dataclass(frozen=True)
class HeldOut:
    """Training pairs, and the users of a later cut-off with what happened to them."""

    training: Pairs
    users: Columns
    cutoff: date
    words: tuple[str, ...]
    happens_BC: "np.ndarray"

    @property
    def demands(self) -> list[str]:
        return [_said(word, i) for i, word in enumerate(self.words)]

    def groups(self) -> tuple[list[str], "np.ndarray"]:
        """Demands for any of 2 to 4 words, and whose future holds one."""
        rng = np.random.default_rng(1)
        chosen = [rng.permutation(len(self.words))[: rng.integers(2, 5)] for _ in range(GROUPS)]
        named = [[self.words[c] for c in each] for each in chosen]
        demands = [_said(f"{', '.join(words[:-1])} and {words[-1]}", i) for i, words in enumerate(named)]
        return demands, np.stack([self.happens_BC[:, each].any(1) for each in chosen], 1)

    def broad(self) -> tuple[list[str], "np.ndarray"]:
        """The demands for being active of which both kinds are there."""
        future, found = self.users["future_text"], {}
        for text, demands in BROAD.items():
            happens_B = (future == text_key(text)).any(1)
            if MIN_SIDE <= happens_B.sum() <= len(happens_B) - MIN_SIDE:
                found |= dict.fromkeys(demands, happens_B)
        return list(found), np.array(list(found.values())).T


def _said(what: str, number: int) -> str:
    return PHRASINGS[number % len(PHRASINGS)].format(what)


def hold_out(pairs: Pairs, folder: Path) -> HeldOut:
    """Writes the training pairs below `folder`. Raises FoundError where no cut-off is early enough to train on."""
    cutoffs = sorted(date.fromisoformat(t) for t in pairs.manifest["cutoffs"])
    windows = pairs.manifest["windows"]
    reach = timedelta(days=windows["gap_days"] + windows["horizon_days"])
    earlier = [t for t in cutoffs if t + reach <= cutoffs[-1]]
    if not earlier:
        raise FoundError(f"no future of the cut-offs {cutoffs} ends by the newest one: a longer lake is needed.")
    training = _subset(pairs, earlier, folder)
    users = _users(pairs, cutoffs[-1])
    words, happens_BC = _words(pairs, users)
    return HeldOut(training, users, cutoffs[-1], words, happens_BC)


def _subset(pairs: Pairs, cutoffs: list[date], folder: Path) -> Pairs:
    days = [day_number(t) for t in cutoffs]
    (folder / "pairs").mkdir(parents=True)
    shutil.copytree(pairs.folder / "texts", folder / "texts")
    for path in pairs.files:
        table = pq.read_table(str(path))
        kept_rows = table.filter(pc.is_in(table["cutoff_day"], pa.array(days, pa.int32())))
        pq.write_table(kept_rows, folder / "pairs" / path.name)
    kept = {"cutoffs": [t.isoformat() for t in cutoffs], "fingerprint": f"{pairs.manifest['fingerprint']}-held-out"}
    (folder / "manifest.json").write_text(json.dumps({**pairs.manifest, **kept}))
    return open_pairs(folder)


def _users(pairs: Pairs, cutoff: date) -> Columns:
    tables = [read_file_pyarrow(path) for path in pairs.files]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    there = np.flatnonzero(columns["cutoff_day"] == day_number(cutoff))
    chosen = np.sort(np.random.default_rng(0).permutation(there)[:USERS])
    return {name: values[chosen] for name, values in columns.items()}


def _words(pairs: Pairs, users: Columns) -> tuple[tuple[str, ...], "np.ndarray"]:
    """Words of the users' futures, and bool [B, C] whose future holds which."""
    keys, strings = pairs.texts()
    future, happens = users["future_text"], {}
    concepts = find_concepts(strings, np.isin(keys, future))
    for place, word in enumerate(concepts.words):
        happens[word] = np.isin(future, keys[concepts.member_VC[:, place]]).any(1)
    usual = sorted(word for word, row in happens.items() if BASE_RATES[0] <= row.mean() <= BASE_RATES[1])
    chosen = tuple(np.random.default_rng(0).permutation(usual)[:DEMANDS].tolist())
    return chosen, np.stack([happens[word] for word in chosen], 1)


def measures(score_BC: "np.ndarray", happens_BC: "np.ndarray") -> dict[str, float]:
    """Mean AUC over demands, and specificity over pairs of demands."""
    found = []
    for a, b in combinations(range(score_BC.shape[1]), 2):
        differs = happens_BC[:, a] != happens_BC[:, b]
        does_a = happens_BC[differs, a]
        if min(does_a.sum(), len(does_a) - does_a.sum()) >= MIN_SIDE:
            found.append(auc(does_a.astype(int), score_BC[differs, a] - score_BC[differs, b]))
    each = [auc(happens_BC[:, c].astype(int), score_BC[:, c]) for c in range(score_BC.shape[1])]
    return {"auc": float(np.mean(each)), "specificity": float(np.mean(found))}


def sizes(score_BC: "np.ndarray", happens_BC: "np.ndarray") -> dict[str, float]:
    """By what factor the size that the probabilities predict is off, in the median demand."""
    probability_BC = 1 / (1 + np.exp(-score_BC))
    off_C = np.log(probability_BC.mean(0) / happens_BC.mean(0))
    return {"factor": float(np.exp(np.median(np.abs(off_C))))}


def trained(held: HeldOut, recipe: Recipe, work: Path, cache: Path, seed: int) -> FoundModel:
    """A model that saw neither the held-out cut-off nor a concept of the held-out words."""
    encoder = TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
    job = train.Job(held.training, recipe, CachedEncoder(cache, encoder), work / f"models-{seed}", seed, Ranks())
    before = sentences.find_concepts
    sentences.find_concepts = lambda texts, is_future: _without(held.words, texts, is_future)
    try:
        train.stage1(job)
        version = train.stage2(job)
    finally:
        sentences.find_concepts = before
    return FoundModel.from_pretrained(job.models / version)


def _without(words: tuple[str, ...], texts: Any, is_future: Any) -> Any:
    found = find_concepts(texts, is_future)
    kept = [i for i, word in enumerate(found.words) if word not in words]
    return type(found)(tuple(found.words[i] for i in kept), found.member_VC[:, kept])


def asked(model: FoundModel, held: HeldOut, cache: Path) -> dict[str, dict[str, float]]:
    """The measures of the vectors alone, of their prefixes, and of the whole score; and of the wider demands."""
    model.cache_texts(cache, *held.training.texts())
    texts = model.text_vectors(cache)
    users = model.embed(held.users, texts)
    asked_CM = np.stack([demand.vector for demand in model.read_demands(held.demands, held.cutoff)])
    found = {}
    for size in (*model.recipe.prefixes, asked_CM.shape[1] - 2):
        kept = np.r_[: 1 + size, -1]
        found[f"vectors of {size}"] = measures(users.vectors[:, kept] @ asked_CM[:, kept].T, held.happens_BC)
    several = {"full": (held.demands, held.happens_BC), "groups": held.groups(), "broad": held.broad()}
    for name, (demands, happens_BC) in several.items():
        if not demands:
            continue
        read = model.read_demands(demands, held.cutoff)
        score_BC = np.stack([model.score(users, demand, texts) for demand in read], 1)
        found[name] = measures(score_BC, happens_BC) | sizes(score_BC, happens_BC)
    return found


def changed(recipe: Recipe, changes: list[str]) -> Recipe:
    """`stage2.steps=150` and the like."""
    for change in changes:
        name, value = change.split("=")
        owner, _, field = name.rpartition(".")
        part: Any = getattr(recipe, owner) if owner else recipe
        part = replace(part, **{field: type(getattr(part, field))(value)})
        recipe = replace(recipe, **{owner: part}) if owner else part
    return recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE")
    given = parser.parse_args()
    cache = given.workdir / "text_cache"
    recipe = changed(found_default(), given.set)
    with tempfile.TemporaryDirectory() as scratch:
        held = hold_out(open_pairs(given.workdir / "pairs"), Path(scratch) / "held")
        print(f"asked at {held.cutoff}: {held.happens_BC.shape[0]} users, {len(held.words)} words")
        for seed in given.seeds.split(","):
            model = trained(held, recipe, Path(scratch), cache, int(seed))
            print(json.dumps({"set": given.set, "seed": int(seed), **asked(model, held, cache)}), flush=True)
            torch.manual_seed(0)


if __name__ == "__main__":
    main()
