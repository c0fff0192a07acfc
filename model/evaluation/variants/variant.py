"""What may differ from FOUND; all of it is data, so that a fingerprint covers it."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from model.config import Recipe
from model.recipes import RECIPES


@dataclass(frozen=True)
class Variant:
    """FOUND with one thing changed; the data, the seed and all else stay.

    `without`: sources that neither training nor scoring sees of a user; futures keep theirs. `recipe`: another recipe
    by name; `changed`: other values of some of its fields. `pretrained`: with stage 1. `alignment`: stage 2 in full,
    with the encoders that stage 1 trained left as they are, or no stage 2. `past`: it predicts the sentences of the
    last horizon before the cut-off, which it sees, instead of those of the next.
    """

    name: str
    title: str
    without: tuple[str, ...] = ()
    recipe: str = ""
    changed: tuple[tuple[str, str], ...] = ()
    pretrained: bool = True
    alignment: Literal["full", "frozen encoders", "none"] = "full"
    past: bool = False

    @property
    def gives_odds(self) -> bool:
        """Are its scores trained to be log odds?"""
        alignment = RECIPES[self.recipe]().alignment if self.recipe else "sigmoid"
        return self.alignment != "none" and dict(self.changed).get("alignment", alignment) == "sigmoid"

    def recipe_of(self, base: Recipe) -> Recipe:
        """The recipe to train with, where FOUND's own is `base`."""
        named = replace(RECIPES[self.recipe](), encoder=base.encoder) if self.recipe else replace(base, served=0)
        changed: dict[str, Any] = dict(self.changed)
        return replace(named, **changed)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the title."""
        return {name: value for name, value in asdict(self).items() if name != "title"}
