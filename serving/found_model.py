"""The model of a service, and what answers seeds by it, imported when they are needed: torch takes seconds, and a desk
without a publication needs none of it."""

from datetime import date
from pathlib import Path
from typing import Any

from serving.audience import Demand, DemandModel, Stored


def load_found_model(folder: Path) -> DemandModel:
    from model.served import ServedModel

    model: DemandModel = ServedModel.from_pretrained(folder)
    return model


def answer_found_seeds(
    model: Any, demand: str, day: date, positives: Stored, negatives: Stored, population: Stored, vectors: Any
) -> Demand:
    from model.few_shot import answer_seeds
    from model.vectors import Users

    near, far, usual = (Users(*side) for side in (positives, negatives, population))
    return answer_seeds(model, demand, day, near, far, usual, vectors)
