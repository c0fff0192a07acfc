"""`torchrun -m model.train --stage 1|2`: trains one stage on the pairs that build_pairs wrote."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.settings import Settings, read_settings
from model import pointers
from model.config import Optimisation, Recipe
from model.data import Loader, Pairs, array, open_pairs
from model.distributed import Ranks, join, leave
from model.found import FoundModel
from model.recipes import recipe as recipe_by_name
from model.stages import Alignment, SelfSupervised, Sentences
from model.text_cache import CachedEncoder, TextTable
from model.text_encoder import TextEncoder
from model.trainer import Run, train
from model.vocabulary import ACTIVITY, Vocabulary, fit_vocabulary


@dataclass(frozen=True)
class Job:
    """What both stages share: the data, the encoder's view of it, and where results go."""

    pairs: Pairs
    recipe: Recipe
    encoder: CachedEncoder
    models: Path
    seed: int
    ranks: Ranks

    def run(self, stage: int, optimisation: Optimisation) -> Run:
        identity = {
            "stage": stage,
            "recipe": self.recipe.to_dict(),
            "pairs": self.pairs.manifest["fingerprint"],
            "seed": self.seed,
            "world": self.ranks.world,
        }
        path = self.models / "checkpoints" / f"stage{stage}.safetensors"
        return Run(self.recipe, optimisation, self.seed, path, identity)

    def loader(self, optimisation: Optimisation) -> Loader:
        per_rank = max(1, optimisation.batch_users // self.ranks.world)
        return Loader(self.pairs, per_rank, self.seed, self.ranks.rank, self.ranks.world)


def main() -> None:
    arguments = _arguments()
    settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(arguments))
    ranks = join()
    try:
        job = _job(settings, arguments, ranks)
        version = stage1(job) if arguments.stage == 1 else stage2(job)
        if ranks.is_first:
            print(f"stage {arguments.stage}: model {version} in {job.models}", flush=True)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        leave()


def stage1(job: Job) -> str:
    """Pre-trains the user encoders; returns the version written below models/stage1."""
    torch.manual_seed(job.seed)
    _, texts = _texts(job)
    model = FoundModel(
        job.recipe,
        _vocabulary(job),
        centre_E=torch.from_numpy(texts.vectors[1:].mean(0)),
        metadata=_metadata(job),
    )
    train(SelfSupervised(model, texts), job.loader(job.recipe.stage1), job.run(1, job.recipe.stage1), job.ranks)
    return _finish(job, model, stage=1, folder=job.models / "stage1")


def stage2(job: Job) -> str:
    """Aligns users and sentences from the stage-1 model; returns the version, now the current model."""
    model = FoundModel.from_pretrained(pointers.current(job.models / "stage1", missing="run `--stage 1` first"))
    if model.metadata["pairs"] != job.pairs.manifest["fingerprint"] or model.recipe != job.recipe:
        raise FoundError(
            f"the stage-1 model in {job.models} was trained with other pairs or another recipe: run `--stage 1` again."
        )
    torch.manual_seed(job.seed + 1)
    strings, texts = _texts(job)
    sentences = Sentences(model, texts, strings, _future_counts(job.pairs, texts), job.encoder.encode)
    if job.ranks.is_first:
        print(
            f"{len(strings):,} distinct texts, {len(sentences.concepts.words)} concepts, "
            f"text cache hit rate {job.encoder.hit_rate:.1%}",
            flush=True,
        )
    stage = Alignment(model, texts, sentences)
    train(stage, job.loader(job.recipe.stage2), job.run(2, job.recipe.stage2), job.ranks)
    return _finish(job, model, stage=2, folder=job.models)


def _finish(job: Job, model: FoundModel, *, stage: int, folder: Path) -> str:
    if job.ranks.is_first:
        pointers.set_current(folder, model.eval().save_pretrained(folder))
        job.run(stage, job.recipe.stage2).checkpoint.unlink(missing_ok=True)
    job.ranks.barrier()
    return model.version


def _job(settings: Settings, arguments: argparse.Namespace, ranks: Ranks) -> Job:
    pairs = open_pairs(Path(arguments.pairs) if arguments.pairs else settings.work.pairs)
    recipe = recipe_by_name(settings.recipe, encoder=settings.encoder, language_model=settings.language_model)
    encoder = TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
    models = Path(arguments.out) if arguments.out else settings.work.models
    return Job(pairs, recipe, CachedEncoder(settings.work.text_cache, encoder, ranks), models, settings.seed, ranks)


def _texts(job: Job) -> tuple[list[str], TextTable]:
    """Every distinct text in key order, and its vector."""
    keys, strings = job.pairs.texts()
    order = np.argsort(keys)
    table = job.encoder.table(keys, strings)
    return [strings[i] for i in order], table


def _vocabulary(job: Job) -> Vocabulary:
    profile = job.pairs.manifest["profile"]
    columns = _read(job.pairs, ["profile_categories", "profile_numbers", *ACTIVITY])
    return fit_vocabulary(
        columns,
        categorical=profile["categorical"],
        numeric=profile["numeric"],
        bins=job.recipe.bins,
        texts=job.pairs.texts()[1],
    )


def _future_counts(pairs: Pairs, texts: TextTable) -> "np.ndarray":
    """[V]: in how many futures each text occurs."""
    rows = texts.rows(_read(pairs, ["future_text"])["future_text"])
    return np.bincount(rows.ravel(), minlength=len(texts.keys) + 1)[1:]


def _read(pairs: Pairs, names: list[str]) -> dict[str, "np.ndarray"]:
    tables = [pq.read_table(str(path), columns=names) for path in pairs.files]
    return {name: np.concatenate([array(table[name]) for table in tables]) for name in names}


def _metadata(job: Job) -> dict[str, Any]:
    manifest = job.pairs.manifest
    kept = ("lake", "currency", "windows", "cutoffs", "rows", "lengths", "profile")
    lengths = _read(job.pairs, [f"{source}_length" for source in BEHAVIOUR_SOURCES])
    sources = [source for source in BEHAVIOUR_SOURCES if lengths[f"{source}_length"].any()]
    known = {"pairs": manifest["fingerprint"], "seed": job.seed, "sources": sources}
    return known | {key: manifest[key] for key in kept}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torchrun -m model.train", description=__doc__)
    parser.add_argument("--stage", type=int, choices=(1, 2), required=True)
    parser.add_argument("--recipe", help="name of a recipe in model/recipes.py")
    parser.add_argument("--pairs", help="folder of build_pairs' output; default WORKDIR/pairs")
    parser.add_argument("--out", help="folder of models; default WORKDIR/models")
    parser.add_argument("--workdir")
    parser.add_argument("--encoder", help="Hugging Face id or folder of the text encoder; default the recipe's")
    parser.add_argument("--language-model", help="the same of the text tower's language model, where it has its own")
    parser.add_argument("--seed", type=int, help="of weights, batches and draws; default: the setting, 0")
    return parser.parse_args()


if __name__ == "__main__":
    main()
