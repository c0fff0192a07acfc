"""Run by torchrun: compares the gradients of two processes with those of one, and trains on uneven files.

Prints one JSON object from rank 0: {case: {group: relative difference}}, and under "train" whether the ranks agree.
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
SPLITS = {"even": (6, 12), "uneven": (9, 12), "one rank out of data": (12, 12)}
GROUPS = {"lora_": "lora", ".late.": "late", "user.": "user", "text.": "text", "tasks.": "tasks"}


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


def gradients(stage: nn.Module, columns: Columns | None, job, number: int, ranks: Ranks) -> dict[str, Tensor]:
    stage = copy.deepcopy(stage)
    unclipped = replace(optimisation_of(number, job), steps=1, clip_norm=1e9)
    run = replace(job.run(number, unclipped), optimisation=unclipped)
    trainer.train(stage, OneBatch(columns), run, ranks)
    return {n: p.grad for n, p in checkpoint.trained(stage).items() if p.grad is not None}


def difference(ours: dict[str, Tensor], one: dict[str, Tensor]) -> dict[str, float]:
    """Per group of parameters |ours - one| / |one|."""
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name, expected in one.items():
        group = next(group for part, group in GROUPS.items() if part in name)
        found.setdefault(group, []).append((ours[name].flatten() - expected.flatten(), expected.flatten()))
    return {
        group: float(torch.cat([d for d, _ in pairs]).norm() / torch.cat([e for _, e in pairs]).norm())
        for group, pairs in found.items()
    }


def undropped(stage: nn.Module) -> nn.Module:
    """The stage without any dropout, the language model's own included."""
    for module in stage.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return stage


def main() -> None:
    pairs, cache, models = (Path(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    encoder = TextEncoder(tiny().encoder, max_tokens=tiny().max_tokens)
    job = make_job(models, pairs, recipe=quiet(tiny()), encoder=encoder, cache=cache)
    columns, report = some_users(ROWS), {}
    stages = {number: undropped(stage_of(number, job)) for number in (1, 2)}
    one = {number: gradients(stage, columns, job, number, Ranks()) for number, stage in stages.items()}
    ranks = join()
    for number, stage in stages.items():
        for name, ends in SPLITS.items():
            ours = gradients(stage, part_of(columns, ranks.rank, ends), job, number, ranks)
            report[f"stage {number}, {name}"] = difference(ours, one[number])
    shared = replace(job, ranks=ranks)
    for number, stage in stages.items():
        optimisation = optimisation_of(number, job)
        losses = trainer.train(stage, shared.loader(optimisation), shared.run(number, optimisation), ranks)
        weights = torch.cat([p.detach().flatten() for p in checkpoint.trained(stage).values()])
        both = ranks.all_rows(weights[None])
        report[f"train {number}"] = {"steps": len(losses), "apart": float((both[0] - both[1]).abs().max())}
    if ranks.is_first:
        print("REPORT" + json.dumps(report))
    leave()


if __name__ == "__main__":
    main()
