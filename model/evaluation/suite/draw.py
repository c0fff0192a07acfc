"""Pictures of FOUND's users (figures 3 and 4 of the paper): who a scenario means, and where its demand lies before and
after seeds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model.evaluation.pictures import Picture, picture, write_picture
from model.evaluation.suite.bench import FEW, Place
from model.evaluation.suite.families import demands_with_seeds

OTHERS, DOES_IT = "others", "does it"
SENTENCE, SEEDED = "the sentence", f"with {FEW}+{FEW} seeds"
DRAWN = 2
"""Scenarios of a lake: t-SNE takes seconds each."""


def draw(lake: str, place: Place, held_out: Mapping[str, Mapping[str, int]], folder: Path) -> list[Path]:
    """Writes a picture of each of the first DRAWN scenarios of a place; returns the files."""
    day = place.scenarios[0].cutoff
    before, after = place.run.model.read_demands(place.demands, day), demands_with_seeds(place, FEW)
    written = []
    for number, scenario in enumerate(place.scenarios[:DRAWN]):
        drawn = _picture(lake, place, held_out[scenario.id], number, (before[number].vector, after[number].vector))
        written.append(folder / f"{lake}-{scenario.id}.json")
        write_picture(written[-1], drawn)
    return written


def _picture(
    lake: str, place: Place, labels: Mapping[str, int], number: int, demands: tuple["np.ndarray", "np.ndarray"]
) -> Picture:
    rows = {kind: [place.row[user] for user, label in labels.items() if label == kind] for kind in (0, 1)}
    users = {OTHERS: place.embedded.vectors[rows[0]], DOES_IT: place.embedded.vectors[rows[1]]}
    groups = users | {name: vector[None] for name, vector in zip((SENTENCE, SEEDED), demands, strict=True)}
    scenario = place.scenarios[number]
    return picture(
        f"{lake}/{scenario.id}",
        {name: _directions(vectors) for name, vectors in groups.items()},
        title=f"{lake}: {scenario.demand}",
        note="t-SNE of the directions of FOUND's user vectors, without propensity and bias; eval split.",
        marks=(SENTENCE, SEEDED),
    )


def _directions(vectors: "np.ndarray") -> "np.ndarray":
    text_part = np.asarray(vectors, np.float64)[:, 1:-1]
    return text_part / np.maximum(np.linalg.norm(text_part, axis=1, keepdims=True), 1e-12)
