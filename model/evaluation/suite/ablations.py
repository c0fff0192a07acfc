"""Ablations (section 5.3 of the paper): FOUND trained in full on the same pairs and seed, with one thing changed."""

import shutil
from collections.abc import Mapping
from functools import partial

from feature_repo.contracts.events import BEHAVIOUR_SOURCES, EVENT_SOURCES, PROFILES, SOURCES
from model.baselines.training import NotApplicable, Training
from model.evaluation.suite.bench import Answers, Place
from model.evaluation.suite.families import Family, Row
from model.evaluation.suite.sources import sources
from model.evaluation.variants.columns import without
from model.evaluation.variants.fit import answer, seen_pairs, train
from model.evaluation.variants.variant import Variant

ABLATIONS = "ablations"
PREFIX = "ablation-"
VARIANT_CODE = ("model.evaluation.variants.fit", "model.baselines.candidates")

BEHAVIOUR, CONCATENATION, PAST = f"{PREFIX}behaviour", f"{PREFIX}concatenation", f"{PREFIX}past_text"

VARIANTS = (
    Variant(BEHAVIOUR, "without any behaviour (bills, clicks, visits)", without=BEHAVIOUR_SOURCES),
    *(Variant(PREFIX + source, f"without {source}", without=(source,)) for source in SOURCES),
    Variant(CONCATENATION, "fusion by concatenation instead of attention", changed=(("fusion", "concatenation"),)),
    Variant(f"{PREFIX}no_stage1", "without stage 1", pretrained=False),
    Variant(f"{PREFIX}frozen", "stage 2 with the pre-trained encoders frozen", alignment="frozen encoders"),
    Variant(f"{PREFIX}infonce", "InfoNCE instead of the sigmoid", changed=(("alignment", "infonce"),)),
    Variant(f"{PREFIX}no_stage2", "without stage 2: the encoder's own space", alignment="none"),
    Variant(PAST, "past text instead of future text (describes, does not forecast)", past=True),
    Variant("paper_small", "the paper's own towers and loss, at a size for 2 cores", recipe="paper_small"),
)


def ablations() -> list[Family]:
    """One family each, so that a run that is stopped loses one training at most."""
    return [_family(variant) for variant in VARIANTS]


def sources_of(training: Training) -> list[str]:
    """The sources that any user of the pairs has."""
    profile = training.pairs.manifest["profile"]
    found = [source for source in EVENT_SOURCES if training.columns[f"{source}_length"].any()]
    return [*found, *([PROFILES] if any(profile.values()) else [])]


def refuse_pointless(variant: Variant, there: list[str]) -> None:
    """Raises NotApplicable where a lake with these sources would show nothing new without those of the variant."""
    absent = [source for source in there if source in variant.without]
    if not variant.without:
        return
    if not absent:
        raise NotApplicable(f"the lake has no {', '.join(variant.without)}.")
    if absent == there:
        raise NotApplicable(f"nothing else is there: the lake has {', '.join(there)} alone.")
    if len(absent) < min(2, len(variant.without)):
        raise NotApplicable(f"the lake has {absent[0]} alone of these: see the row without {absent[0]}.")


def _family(variant: Variant) -> Family:
    row = Row(variant.name, variant.title, ABLATIONS, of_odds=variant.gives_odds)
    return Family(
        variant.name, (row,), partial(_ask, variant), sources(*VARIANT_CODE), kind=ABLATIONS, setup=variant.to_dict()
    )


def _ask(variant: Variant, place: Place) -> Mapping[str, Answers]:
    refuse_pointless(variant, sources_of(place.training))
    folder = place.work.seeded(place.seed).root / "variants" / variant.name
    shutil.rmtree(folder, ignore_errors=True)
    pairs = seen_pairs(variant, place.training.pairs, folder)
    model = train(variant, place.run.model.recipe, pairs, place.work.text_cache, folder / "models", place.seed)
    users, vectors = without(place.columns, variant.without), model.text_vectors(place.work.text_cache)
    scores = answer(model, users, vectors, place.demands, place.scenarios[0].cutoff)
    shutil.rmtree(folder)
    return {variant.name: place.answers(scores)}
