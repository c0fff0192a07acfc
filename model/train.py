"""`torchrun -m model.train --stage 1|2`: trains one stage on the pairs that build_pairs wrote."""

import argparse
import hashlib
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.settings import Settings, read_settings
from model import pointers
from model.calibration.learn import calibrate
from model.config import Optimisation, Recipe
from model.data import Cutoffs, Loader, Pairs, array, open_pairs
from model.distributed import Ranks, join, leave
from model.found import FoundModel
from model.journal import Journal
from model.options import arguments as _arguments
from model.options import with_options
from model.recipes import recipe as recipe_by_name
from model.records import environment, write_record
from model.sentences import Sentences
from model.shorten import shorten
from model.stages import Alignment, SelfSupervised
from model.text_cache import CachedEncoder, TextTable
from model.text_encoder import TextEncoder
from model.text_space import TextSpace
from model.tracking import Store
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
    mlflow: Store | None = None

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
        """The pairs to train on: all, or with patience all but those of the newest cut-off."""
        return self._loader(optimisation, Cutoffs(end=self._newest() if optimisation.patience else None))

    def held_out(self, optimisation: Optimisation) -> Loader | None:
        """The pairs of the newest cut-off, where patience asks for them."""
        return self._loader(optimisation, Cutoffs(first=self._newest())) if optimisation.patience else None

    def journal(self, run: Run) -> Journal:
        """Of one run: the same run again writes to the same folder below models/logs, and goes on in MLflow."""
        if not self.ranks.is_first:
            return Journal()
        digest = hashlib.sha256(json.dumps(run.identity, sort_keys=True).encode()).hexdigest()[:12]
        name = f"stage{run.identity['stage']}-{digest}"
        return Journal(self.models / "logs" / name, self.mlflow.run(name, run.identity) if self.mlflow else None)

    def _loader(self, optimisation: Optimisation, cutoffs: Cutoffs) -> Loader:
        per_rank = max(1, optimisation.batch_users // self.ranks.world)
        return Loader(self.pairs, per_rank, self.seed, self.ranks.rank, self.ranks.world, cutoffs=cutoffs)

    def _newest(self) -> int:
        days = self.pairs.cutoff_days
        if len(days) < 2:
            raise FoundError(
                f"patience holds out the newest of at least 2 cut-offs, found {len(days)} in {self.pairs.folder}: "
                "build pairs at more cut-offs, or train without patience."
            )
        return days[-1]


def main() -> None:
    arguments = _arguments(__doc__)
    settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(arguments))
    ranks = join()
    try:
        job = _job(settings, arguments, ranks)
        version = stage1(job) if arguments.stage == 1 else stage2(job)
        if ranks.is_first:
            if arguments.stage == 2 and settings.vector_size:
                version = shorten(job.models, settings.vector_size)
            if arguments.stage == 2 and job.recipe.alignment != "infonce":
                print(calibrate(job.models / version, job.pairs, settings.work.text_cache), flush=True)
            print(f"stage {arguments.stage}: model {version} in {job.models}", flush=True)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        leave()


def stage1(job: Job) -> str:
    """Pre-trains the user encoders; returns the version written below models/stage1."""
    model, texts = _drawn(job)
    return _trained(job, model, SelfSupervised(model, texts), 1, job.recipe.stage1, job.models / "stage1")


def without_stage1(job: Job) -> str:
    """Leaves below models/stage1 what stage 1 starts from: every weight as it is drawn (an ablation)."""
    model, _ = _drawn(job)
    version = model.eval().save_pretrained(job.models / "stage1")
    pointers.set_current(job.models / "stage1", version)
    return version


def stage2(job: Job, alignment: type[Alignment] = Alignment) -> str:
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
    return _trained(job, model, alignment(model, texts, sentences), 2, job.recipe.stage2, job.models)


def _drawn(job: Job) -> tuple[FoundModel, TextTable]:
    """The model before any training, and the vectors of the texts."""
    torch.manual_seed(job.seed)
    _, texts = _texts(job)
    space = TextSpace.of(np.asarray(texts.vectors[1:]), _future_counts(job.pairs, texts))
    return FoundModel(job.recipe, _vocabulary(job), space, metadata=_metadata(job)), texts


def _trained(
    job: Job, model: FoundModel, stage: nn.Module, number: int, optimisation: Optimisation, folder: Path
) -> str:
    """Trains the stage and puts the model, with its record and card, in service below `folder`."""
    run, loader, held_out = job.run(number, optimisation), job.loader(optimisation), job.held_out(optimisation)
    journal = job.journal(run)
    train(stage, loader, run, job.ranks, journal=journal, held_out=held_out)
    if job.ranks.is_first:
        version = model.eval().save_pretrained(folder)
        write_record(folder / version, _record(job, run, journal) | {"version": version})
        pointers.set_current(folder, version)
        journal.finish(folder / version)
        run.checkpoint.unlink(missing_ok=True)
    job.ranks.barrier()
    return model.version


def _record(job: Job, run: Run, journal: Journal) -> dict[str, Any]:
    """All that a run was and gave."""
    manifest, notes = job.pairs.manifest, journal.notes()
    kept = ("fingerprint", "lake", "rows", "cutoffs", "windows")
    return {
        "stage": run.identity["stage"],
        "recipe": job.recipe.to_dict(),
        "seed": job.seed,
        "pairs": {key: manifest[key] for key in kept},
        "encoder": job.encoder.encoder.fingerprint,
        "steps": journal.done,
        "history": notes["history"],
        "validation": notes["validation"],
        "seconds": round(notes["seconds"], 1),
        "pairs_per_second": round(notes["pairs"] / max(notes["seconds"], 1e-9), 1),
        "text_cache_hit_rate": round(job.encoder.hit_rate, 4),
        "environment": environment(job.ranks),
    }


def _job(settings: Settings, arguments: argparse.Namespace, ranks: Ranks) -> Job:
    mlflow = Store(settings.mlflow_uri) if settings.mlflow_uri and ranks.is_first else None
    pairs = open_pairs(Path(arguments.pairs) if arguments.pairs else settings.work.pairs)
    named = recipe_by_name(settings.recipe, encoder=settings.encoder, language_model=settings.language_model)
    recipe = with_options(named, vars(arguments))
    replace(recipe, served=settings.vector_size)  # an untrained size is refused before anything is trained
    encoder = TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
    models = Path(arguments.out) if arguments.out else settings.work.models
    cached = CachedEncoder(settings.work.text_cache, encoder, ranks)
    return Job(pairs, recipe, cached, models, settings.seed, ranks, mlflow)


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


if __name__ == "__main__":
    main()
