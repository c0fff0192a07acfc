"""FoundModel: both towers, what they need to read users and sentences, and the folder they are saved in."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Lengths, pair_columns
from feature_repo.contracts.names import SCHEMA_VERSION
from feature_repo.contracts.templates import TEMPLATE_VERSION
from feature_repo.contracts.windows import day_number
from model.batch import UserBatch, View, input_hashes, nobody, user_batch
from model.calibration.calibration import Calibration
from model.calibration.past import Past
from model.config import Recipe
from model.encoders import encoders, made_by
from model.late import LateInteraction, WeightedTexts, by_user
from model.scores import Asked, cosines, inner_products
from model.sequence import EncodedText
from model.text_cache import CachedEncoder, TextCache, TextTable
from model.text_encoder import TextEncoder
from model.text_space import TextSpace
from model.text_tower import text_tower
from model.user_tower import user_tower
from model.vectors import Demand, Users
from model.vocabulary import Vocabulary
from model.words import led

WEIGHTS, CONFIG = "model.safetensors", "config.json"
SPACE = ("centre_E", "landmark_LE")
BASE = "text.adapted.base_model.model."


class FoundModel(nn.Module):
    """score(user, sentence) = log odds that the sentence happens to the user: the inner product of their vectors,
    which an index searches, and late interaction with the user's texts, which re-ranks what the index found."""

    def __init__(
        self, recipe: Recipe, vocabulary: Vocabulary, space: TextSpace, *, metadata: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.recipe, self.vocabulary, self.metadata = recipe, vocabulary, dict(metadata)
        encoder, spoken = encoders(recipe)
        if spoken is not encoder:
            self.event_encoder = encoder
        self.text = text_tower(recipe, spoken, space)
        self.user = user_tower(recipe, text_width=encoder.width, vocabulary=vocabulary)
        self.late = LateInteraction(recipe)
        self.words = frozenset(vocabulary.words)
        self.version = ""
        self.calibration: Calibration | None = None

    @property
    def device(self) -> torch.device:
        return self.text.space.centre_E.device

    @property
    def width(self) -> int:
        """The length of a user's and of a sentence's vector."""
        return (self.recipe.served or self.recipe.embedding or self.encoder.width) + 2

    @property
    def encoder(self) -> TextEncoder:
        """What reads events and searches, without the text tower's LoRA; with its own where the recipe tunes it."""
        return self.event_encoder if self.recipe.embedding or self.recipe.tune_events else self.text.encoder

    @property
    def view(self) -> View:
        return View(self.vocabulary, self.recipe.windows, tuple(self.metadata["sources"]))

    def batch(self, columns: Mapping[str, "np.ndarray"], texts: TextTable) -> UserBatch:
        """The tensors of these users, arrays cut to the longest: for training."""
        return user_batch(columns, texts=texts, view=self.view, trim=True)

    def users(self, batch: UserBatch, text_VE: Tensor) -> tuple[Tensor, EncodedText]:
        """The users' vectors [B, width], and the texts of their histories in user order."""
        vector_BM, history = self.user(batch, text_VE)
        if self.recipe.embedding:
            return vector_BM, history
        text_BM = self.text.space.turned(vector_BM[:, 1:-1], self.recipe.served)
        return torch.cat([vector_BM[:, :1], text_BM, vector_BM[:, -1:]], 1), history

    def centred(self, texts: TextTable) -> Tensor:
        """[V + 1, E]: the vectors of a text table as the towers see them; row 0 stays zero."""
        vectors = torch.from_numpy(np.ascontiguousarray(texts.vectors)).to(self.device)
        return torch.cat([torch.zeros_like(vectors[:1]), self.text.space.centred(vectors[1:])])

    @torch.no_grad()
    def embed(self, columns: Mapping[str, "np.ndarray"], texts: TextTable) -> Users:
        """What is kept of these users. `texts` must hold every text key of the columns."""
        used = [values.ravel() for name, values in columns.items() if name.endswith("_text")]
        table = made_by(self.encoder, texts).select(np.concatenate(used))
        batch = user_batch(columns, texts=table, view=self.view, trim=False).to(self.device)
        vectors, history = self.users(batch, self.centred(table))
        key_N = table.keys[history.text_N.cpu().numpy() - 1]
        user_N, weight_N = history.user_N.cpu().numpy(), self.late.weights(history).float().cpu().numpy()
        return Users(vectors.float().cpu().numpy(), by_user(user_N, key_N, weight_N, len(batch)))

    def embed_stranger(self, day: date) -> Users:
        """A user of whom nothing is known."""
        profile = self.metadata["profile"]
        columns = nobody(
            pair_columns(
                Lengths(**self.metadata["lengths"]),
                categorical=len(profile["categorical"]),
                numeric=len(profile["numeric"]),
            )
        )
        columns["cutoff_day"][:] = day_number(day)
        nothing = TextTable(np.zeros(0, np.int64), np.zeros((1, self.encoder.width), np.float32))
        return self.embed(columns, nothing)

    def read(self, demand: str) -> str:
        """What the language model is given for a demand; the paper's has no help."""
        return demand if self.recipe.embedding else led(demand, self.words)

    @torch.no_grad()
    def read_demands(self, demands: Sequence[str], day: date) -> list[Demand]:
        """The sentences for the cut-off at 00:00 UTC of `day`; calibrated, where the model has a calibration."""
        asked, calibration = self.uncalibrated(demands, day), self.calibration
        if calibration is None:
            return asked
        return [calibration.calibrated(self, said, demand, day) for said, demand in zip(demands, asked, strict=True)]

    @torch.no_grad()
    def uncalibrated(self, demands: Sequence[str], day: date) -> list[Demand]:
        """The sentences as they were trained: they rank alike, their log odds are less."""
        return self.demands(self.text.live([self.read(demand) for demand in demands]), day)

    def demands(self, encoded_NE: Tensor, day: date) -> list[Demand]:
        """What these encodings ask, as of a day."""
        number = day_number(day)
        vector_NM = self.text(encoded_NE, number).float().cpu().numpy()
        late_NE = self.text.late_query(encoded_NE).float().cpu().numpy()
        bias_N = self.text.biases(encoded_NE, number)[:, 1].tolist()
        return [Demand(*parts) for parts in zip(vector_NM, late_NE, bias_N, strict=True)]

    def score(self, users: Users, demand: Demand, vectors: TextTable) -> "np.ndarray":
        """float64 [B]: the log odds of these users; `vectors` must hold every one of their texts."""
        return self.rescore(inner_products(users.vectors, demand.vector), users.texts, vectors, demand)

    def text_vectors(self, cache: Path) -> TextTable:
        """The vectors of this model's encoder in a work directory's text cache."""
        with self.text.adapted.disable_adapter():
            return TextCache(cache, self.encoder.fingerprint, width=self.encoder.width).table()

    def cache_texts(self, cache: Path, keys: "np.ndarray", texts: Sequence[str]) -> Path:
        """Brings these texts into a work directory's text cache; returns the folder of this model's encoder there."""
        with self.text.adapted.disable_adapter():
            encoder = CachedEncoder(cache, self.encoder)
            encoder.table(keys, texts)
        return encoder.cache.folder

    def rescore(
        self, scores: "np.ndarray", texts: Sequence[WeightedTexts], vectors: TextTable, demand: Demand
    ) -> "np.ndarray":
        """float64 [B]: the log odds of users whose vectors' inner products with the demand's are `scores`.

        `texts` are what `embed` gave for these users; `vectors` must hold every one of them. A model aligned by
        InfoNCE has no late interaction.
        """
        scores = np.asarray(scores, np.float64)
        if not len(scores):
            return scores
        key_N, weight_N = (np.concatenate([own[part] for own in texts]) for part in (0, 1))
        asked = self.asked(demand, vectors, np.unique(key_N))
        return asked.rescored(scores, key_N, weight_N, np.array([len(own) for own, _ in texts]))

    @torch.no_grad()
    def asked(self, demand: Demand, vectors: TextTable, key_V: "np.ndarray") -> Asked:
        """What the demand asks of users whose texts are among these ascending keys; `vectors` must hold them all."""
        if self.recipe.alignment == "infonce":
            none = np.zeros(0)
            return Asked(demand.vector, none, none, none, none, demand.late_weight, demand.late_bias)
        table, late, centre_E = made_by(self.encoder, vectors), self.late, self.text.space.centre_E
        cosine_V = cosines(table.vectors, table.rows(key_V), centre_E.cpu().numpy(), demand.late)
        near_V = np.exp(late.log_sharpness.exp().item() * (cosine_V - 1))
        gain_H, floor_H = (each.double().cpu().numpy() for each in (late.gain_H, late.log_floor_H.exp()))
        return Asked(demand.vector, key_V, near_V, gain_H, floor_H, demand.late_weight, demand.late_bias)

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        """float32 [N, E]: unit vectors in the encoder's own space, for comparing a sentence with a history."""
        with self.text.adapted.disable_adapter():
            return self.encoder.encode(texts)

    def probabilities(self, scores: "np.ndarray") -> "np.ndarray":
        """The share of users with this score to whom the sentence happens within the horizon."""
        return 1 / (1 + np.exp(-np.asarray(scores, np.float64)))

    def input_hashes(self, columns: Mapping[str, "np.ndarray"]) -> list[str]:
        """One hash per user of all that `embed` sees of them."""
        return input_hashes(columns, self.view)

    def own_state(self) -> dict[str, Tensor]:
        """The weights that training may change: all but the language models' own."""
        state = self.state_dict()
        frozen = {name for name in state if name.startswith("text.encoder.")}
        frozen |= {name for name in state if name.startswith((BASE, "event_encoder.")) and "lora_" not in name}
        return {name: state[name].detach().cpu().contiguous() for name in sorted(state.keys() - frozen)}

    def load_own_state(self, state: Mapping[str, Tensor], where: str) -> None:
        """Raises FoundError naming each missing, unknown or reshaped tensor."""
        expected = self.own_state()
        wrong = [f"missing {n}" for n in sorted(expected.keys() - state.keys())]
        wrong += [f"unknown {n}" for n in sorted(state.keys() - expected.keys())]
        for name in sorted(expected.keys() & state.keys()):
            if expected[name].shape != state[name].shape:
                found, wanted = list(state[name].shape), list(expected[name].shape)
                wrong.append(f"{name} has shape {found} instead of {wanted}")
        if wrong:
            raise FoundError(f"{where} does not fit its config: {'; '.join(wrong[:5])}. Train the model again.")
        self.load_state_dict(dict(state), strict=False)

    def save_pretrained(self, folder: Path) -> str:
        """Writes weights and config, whole or not at all, below `folder`; returns and sets the version."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "template_version": TEMPLATE_VERSION,
            "recipe": self.recipe.to_dict(),
            "vocabulary": self.vocabulary.to_dict(),
            "metadata": self.metadata,
        }
        state = self.own_state()
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
        for name, tensor in state.items():
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        self.version = digest.hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / self.version
        unfinished = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        try:
            (unfinished / CONFIG).write_text(json.dumps(document | {"version": self.version}, indent=1, sort_keys=True))
            save_file(state, str(unfinished / WEIGHTS))
            unfinished.chmod(0o755)
            if not target.exists():
                os.replace(unfinished, target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return self.version

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "FoundModel":
        """The model in `folder`, with its calibration, where one lies there.

        Raises FoundError where the model is missing or either is of another version."""
        path = Path(folder)
        if not (path / CONFIG).exists():
            raise FoundError(
                f"no model in {path}: train one with `torchrun -m model.train --stage 1`, then `--stage 2`."
            )
        document = json.loads((path / CONFIG).read_text())
        ours = {"schema_version": SCHEMA_VERSION, "template_version": TEMPLATE_VERSION}
        if differs := {k: document.get(k) for k, v in ours.items() if document.get(k) != v}:
            raise FoundError(f"the model in {path} has {differs}, this code needs {ours}: train it again.")
        recipe, vocabulary = Recipe.from_dict(document["recipe"]), Vocabulary.from_dict(document["vocabulary"])
        state = load_file(str(path / WEIGHTS))
        centre_E, landmark_LE = (state.get(f"text.space.{name}", torch.zeros(0, 0)) for name in SPACE)
        space = TextSpace(torch.zeros_like(centre_E), len(landmark_LE))
        model = cls(recipe, vocabulary, space, metadata=document["metadata"])
        model.load_own_state(state, str(path / WEIGHTS))
        model.version = document["version"]
        past = Past.load(path, model=model.version)
        model.calibration = None if past is None else Calibration(past)
        return model.eval()
