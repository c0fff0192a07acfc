"""Run by torchrun: compares loss and gradients of all processes with those of one, and trains on uneven files.

Prints one JSON object from rank 0: {case: {"loss" or group: relative difference}}, and under "train" whether the
ranks agree.
"""

import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from model_pairs import Columns, make_job, quiet, some_users
from test_training import optimisation_of, stage_of
from torch import Tensor, nn

from model import checkpoint, trainer
from model.distributed import Ranks, join, leave
from model.recipes import tiny
from model.text_encoder import TextEncoder

ROWS = 12
SPLITS = {
    2: {"even": (6, 12), "uneven": (9, 12), "one rank out of data": (12, 12), "in chunks": (9, 12)},
    4: {"uneven": (1, 2, 11, 12), "two ranks out of data": (7, 12, 12, 12), "in chunks": (1, 2, 11, 12)},
}
"""How a batch of 12 users lies on the ranks."""
TUNED = "tuned events"
KINDS = {"stage 1": (1, "sigmoid"), "stage 2": (2, "sigmoid"), "infonce": (2, "infonce"), TUNED: (2, "sigmoid")}
CHUNK = 2
PATIENT = "stage 2"
"""The kind that trains with early stopping."""
GROUPS = {
    "event_encoder.": "events",
    "lora_": "lora",
    ".late.": "late",
    "user.": "user",
    "text.": "text",
    "tasks.": "tasks",
}


@dataclass
class OneBatch:
    """A loader of one batch, or of none."""

    columns: Columns | None

    def steps(self) -> Iterator[Columns | None]:
        yield self.columns

    def any_batch(self) -> Columns:
        return some_users(16, first=200)


def part_of(columns: Columns, rank: int, ends: tuple[int, ...]) -> Columns | None:
    start = (0, *ends)[rank]
    return {n: v[start : ends[rank]] for n, v in columns.items()} if start < ends[rank] else None


@dataclass
class Found:
    """What one step gave."""

    loss: float
    gradients: dict[str, Tensor]


def one_step(stage: nn.Module, columns: Columns | None, job, number: int, ranks: Ranks) -> Found:
    stage = copy.deepcopy(stage)
    unclipped = replace(optimisation_of(number, job), steps=1, clip_norm=1e9)
    run = replace(job.run(number, unclipped), optimisation=unclipped)
    (loss,) = trainer.train(stage, OneBatch(columns), run, ranks)
    gradients = {n: p.grad for n, p in checkpoint.trained(stage).items() if p.grad is not None}
    return Found(float(ranks.all_sum(torch.tensor(loss))) / ranks.world, gradients)


def in_chunks(stage: nn.Module) -> nn.Module:
    """The same stage, a few users at a time."""
    stage, recipe = copy.deepcopy(stage), stage.model.recipe
    stage.model.recipe = replace(
        recipe,
        stage1=replace(recipe.stage1, chunk_users=CHUNK),
        stage2=replace(recipe.stage2, chunk_users=CHUNK),
    )
    return stage


def difference(ours: Found, one: Found) -> dict[str, float]:
    """Per group of parameters |ours - one| / |one|, and of the loss."""
    assert set(ours.gradients) == set(one.gradients)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name, expected in one.gradients.items():
        group = next(group for part, group in GROUPS.items() if part in name)
        found.setdefault(group, []).append((ours.gradients[name].flatten() - expected.flatten(), expected.flatten()))
    return {"loss": abs(ours.loss / one.loss - 1)} | {
        group: float(torch.cat([d for d, _ in pairs]).norm() / torch.cat([e for _, e in pairs]).norm())
        for group, pairs in found.items()
    }


def undropped(stage: nn.Module) -> nn.Module:
    """The stage without any dropout, the language model's own included."""
    for module in stage.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return stage


def trained(stage: nn.Module, job, kind: str) -> dict[str, float]:
    """How many steps a run on the job's files took, and how far the ranks' weights are apart in the end."""
    number, ranks = KINDS[kind][0], job.ranks
    optimisation = optimisation_of(number, job)
    if kind == PATIENT:
        optimisation = replace(optimisation, patience=1, validate_every=2)
    run = replace(job.run(number, optimisation), optimisation=optimisation)
    losses = trainer.train(stage, job.loader(optimisation), run, ranks, held_out=job.held_out(optimisation))
    weights = torch.cat([p.detach().flatten() for p in checkpoint.trained(stage).values()])
    everyone = ranks.all_rows(weights[None])
    return {"steps": len(losses), "apart": float((everyone - everyone[0]).abs().max())}


def main() -> None:
    pairs, cache, models = (Path(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    encoder = TextEncoder(tiny().encoder, max_tokens=tiny().max_tokens)
    job = make_job(models, pairs, recipe=quiet(tiny()), encoder=encoder, cache=cache)
    columns, report = some_users(ROWS), {}
    stages = {}
    for kind, (number, alignment) in KINDS.items():
        its_job = replace(job, recipe=replace(job.recipe, alignment=alignment, tune_events=kind == TUNED))
        stages[kind] = undropped(stage_of(number, its_job))
    one = {kind: one_step(stage, columns, job, KINDS[kind][0], Ranks()) for kind, stage in stages.items()}
    ranks = join()
    for kind, stage in stages.items():
        for name, ends in SPLITS[ranks.world].items():
            chosen = in_chunks(stage) if name == "in chunks" else stage
            ours = one_step(chosen, part_of(columns, ranks.rank, ends), job, KINDS[kind][0], ranks)
            report[f"{kind}, {name}"] = difference(ours, one[kind])
        report[f"train {kind}"] = trained(stage, replace(job, ranks=ranks), kind)
    if ranks.is_first:
        print("REPORT" + json.dumps(report))
    leave()


if __name__ == "__main__":
    main()
