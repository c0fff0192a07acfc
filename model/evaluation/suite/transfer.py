"""Transfer: both stages on the pairs of other lakes, asked about this lake's users without any training there."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from model.data import open_pairs
from model.evaluation.suite.ablations import VARIANT_CODE, sources_of
from model.evaluation.suite.bench import Answers, Place
from model.evaluation.suite.families import Family, Row
from model.evaluation.suite.sources import sources
from model.evaluation.variants.columns import without
from model.evaluation.variants.fit import answer, train, unread, widened
from model.evaluation.variants.pairs import merged
from model.evaluation.variants.variant import Variant
from model.found import FoundModel

TRANSFER = "transfer"
BETWEEN = "+"
"""Between the names of lakes in a row's name."""
VARIANTS = (
    Variant("transfer", "FOUND, trained on {lakes} alone"),
    Variant("transfer-no_stage1", "the same without stage 1", pretrained=False),
)


@dataclass(frozen=True)
class TrainLake:
    """A lake to train on: its name, a digest of its data, and where its pairs are; None where nothing is trained."""

    name: str
    data: str
    pairs: Path | None = None

    def __post_init__(self) -> None:
        if BETWEEN in self.name:
            raise FoundError(f"a lake to train on is a folder whose name has no {BETWEEN!r}, found {self.name!r}.")


def transfers(lakes: Sequence[TrainLake]) -> list[Family]:
    """Both rows of a model trained on these lakes together; none without a lake."""
    return [_family(variant, tuple(lakes)) for variant in VARIANTS] if lakes else []


def rows_among(methods: Sequence[str]) -> list[Row]:
    """The rows of transfer among the names of results: which lakes they were trained on is in the name."""
    found = []
    for name in dict.fromkeys(methods):
        kind, *lakes = name.split(BETWEEN)
        found += [_row(variant, lakes) for variant in VARIANTS if variant.name == kind and lakes]
    return found


def _row(variant: Variant, lakes: Sequence[str]) -> Row:
    title = variant.title.format(lakes=" and ".join(lakes))
    return Row(BETWEEN.join([variant.name, *lakes]), title, TRANSFER, of_odds=variant.gives_odds)


def _family(variant: Variant, lakes: tuple[TrainLake, ...]) -> Family:
    row, data = _row(variant, [lake.name for lake in lakes]), [lake.data for lake in lakes]
    return Family(
        row.name,
        (row,),
        partial(_ask, variant, row.name, lakes),
        sources(*VARIANT_CODE),
        kind=TRANSFER,
        setup=variant.to_dict() | {"lakes": data},
    )


def _ask(variant: Variant, name: str, lakes: tuple[TrainLake, ...], place: Place) -> Mapping[str, Answers]:
    folder = place.work.seeded(place.seed).root / "variants" / variant.name
    shutil.rmtree(folder, ignore_errors=True)
    pairs = merged([open_pairs(_pairs(lake)) for lake in lakes], folder / "pairs")
    model = train(variant, place.run.model.recipe, pairs, place.work.text_cache, folder / "models", place.seed)
    users, vectors = without(place.columns, unread(model)), model.text_vectors(place.work.text_cache)
    adapted = led_by(widened(model, sources_of(place.training)), place.training.vocabulary.words)
    scores = answer(adapted, users, vectors, place.demands, place.scenarios[0].cutoff)
    shutil.rmtree(folder)
    return {name: place.answers(scores)}


def led_by(model: FoundModel, words: Sequence[str]) -> FoundModel:
    """The model that reads demands behind another lake's telling words: they are known without training."""
    model.words = frozenset(words)
    return model


def _pairs(lake: TrainLake) -> Path:
    if lake.pairs is None:
        raise FoundError(
            f"no pairs of the lake {lake.name} to train on: run `found evaluate --train-lakes`, which builds them."
        )
    return lake.pairs
