"""All families of the suite."""

from collections.abc import Sequence
from dataclasses import replace

from feature_repo.contracts.errors import FoundError
from model.evaluation.suite.ablations import ablations
from model.evaluation.suite.families import Family, families
from model.evaluation.suite.transfer import TRANSFER, TrainLake, transfers

STUDY_SEEDS = 1
"""Of an ablation or a transfer, unless told otherwise: each is a training of minutes."""


def registry(train_lakes: Sequence[TrainLake] = (), *, study_seeds: int = STUDY_SEEDS) -> list[Family]:
    """FOUND and every baseline, the ablations, and the transfer from these lakes."""
    studies = [*ablations(), *transfers(train_lakes)]
    return [*families(), *(replace(family, most_seeds=study_seeds) for family in studies)]


def chosen(known: Sequence[Family], names: str) -> list[Family]:
    """Of comma-separated names of families and of their kinds; by "" all, each once and in their own order."""
    wanted = set(names.split(",")) if names else {family.kind for family in known}
    kinds = {family.kind for family in known}
    if TRANSFER in wanted - kinds:
        raise FoundError(f"{TRANSFER} needs lakes to train on, found none: name their folders by --train-lakes A,B.")
    if strange := sorted(wanted - kinds - {family.name for family in known}):
        raise FoundError(
            f"unknown methods {strange}; methods are {sorted(family.name for family in known)}, or all of a kind: "
            f"{sorted(kinds)}."
        )
    return [family for family in known if wanted & {family.name, family.kind}]
