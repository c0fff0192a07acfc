"""What calibration keeps of the past: users as of the newest cut-offs of training, and what they then did.

Shape suffixes: N past users, M width of a vector, T their texts, K distinct texts of histories, V of futures, F slots
of a future, S sources, U units, E encoder width.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from feature_repo.contracts.errors import FoundError
from model.late import WeightedTexts
from model.rewriting.words import LakeWords
from model.text_cache import TextTable
from model.vectors import Users

CALIBRATION_VERSION = 1
WEIGHTS, CONFIG = "calibration.safetensors", "calibration.json"
_TENSORS = {
    "vector_NM": torch.float32,
    "held_N": torch.int64,
    "key_T": torch.int64,
    "weight_T": torch.float32,
    "known_K": torch.int64,
    "known_KE": torch.float16,
    "future_NF": torch.int32,
    "is_event_V": torch.bool,
    "source_VS": torch.bool,
    "text_VE": torch.float16,
    "unit_UE": torch.float16,
}


@dataclass(frozen=True)
class Past:
    """`users` with the vectors of their histories' texts in `known`; row `future_NF` of `texts`, -1 for none.

    `source_VS` says whose events have a text: none's, where no history has it. `unit_UE` are encodings of `units`.
    `drift` is how far the log of a size is off because the past is another time (a standard deviation).
    """

    users: Users
    known: TextTable
    future_NF: "np.ndarray"
    texts: tuple[str, ...]
    is_event_V: "np.ndarray"
    source_VS: "np.ndarray"
    text_VE: "np.ndarray"
    units: tuple[str, ...]
    unit_UE: "np.ndarray"
    words: LakeWords
    drift: float

    def save(self, folder: Path, *, model: str) -> None:
        """Writes it into a model's folder; the document last, so that what is there is whole."""
        keys, weights = (np.concatenate([own[part] for own in self.users.texts]) for part in (0, 1))
        arrays = {
            "vector_NM": self.users.vectors,
            "held_N": np.array([len(own) for own, _ in self.users.texts]),
            "key_T": keys,
            "weight_T": weights,
            "known_K": self.known.keys,
            "known_KE": self.known.vectors[1:],
            "future_NF": self.future_NF,
            "is_event_V": self.is_event_V,
            "source_VS": self.source_VS,
            "text_VE": self.text_VE,
            "unit_UE": self.unit_UE,
        }
        document = {
            "calibration_version": CALIBRATION_VERSION,
            "model": model,
            "encoder": self.known.encoder,
            "texts": list(self.texts),
            "units": list(self.units),
            "words": _to_dict(self.words),
            "drift": self.drift,
        }
        tensors = {name: torch.from_numpy(np.ascontiguousarray(a)).to(_TENSORS[name]) for name, a in arrays.items()}
        (folder / CONFIG).unlink(missing_ok=True)
        unfinished = folder / f".{WEIGHTS}"
        save_file(tensors, str(unfinished))
        os.replace(unfinished, folder / WEIGHTS)
        unfinished = folder / f".{CONFIG}"
        unfinished.write_text(json.dumps(document, indent=1, sort_keys=True))
        os.replace(unfinished, folder / CONFIG)

    @classmethod
    def load(cls, folder: Path, *, model: str) -> "Past | None":
        """What lies in a model's folder, None where nothing does. Raises FoundError where it is of another version or
        model, or does not fit its document."""
        if not (folder / CONFIG).exists():
            return None
        document = json.loads((folder / CONFIG).read_text())
        ours = {"calibration_version": CALIBRATION_VERSION, "model": model}
        if differs := {key: document.get(key) for key, value in ours.items() if document.get(key) != value}:
            needed = {key: ours[key] for key in differs}
            raise _refused(folder, f"has {differs}, this code and model need {needed}")
        tensors = load_file(str(folder / WEIGHTS)) if (folder / WEIGHTS).exists() else {}
        wrong = [name for name, kind in _TENSORS.items() if name not in tensors or tensors[name].dtype != kind]
        if wrong or set(tensors) != set(_TENSORS):
            raise _refused(folder, f"needs the tensors {sorted(_TENSORS)}, found {sorted(tensors)}")
        past = cls._from(document, {name: tensor.numpy() for name, tensor in tensors.items()})
        past._refuse_misfits(folder)
        return past

    @classmethod
    def _from(cls, document: Mapping[str, Any], arrays: Mapping[str, "np.ndarray"]) -> "Past":
        ends = np.cumsum(arrays["held_N"])[:-1]
        texts: list[WeightedTexts] = list(
            zip(np.split(arrays["key_T"], ends), np.split(arrays["weight_T"], ends), strict=True)
        )
        padded = np.pad(arrays["known_KE"], ((1, 0), (0, 0)))
        return cls(
            users=Users(arrays["vector_NM"], texts),
            known=TextTable(arrays["known_K"], padded, str(document["encoder"])),
            future_NF=arrays["future_NF"],
            texts=tuple(document["texts"]),
            is_event_V=arrays["is_event_V"],
            source_VS=arrays["source_VS"],
            text_VE=arrays["text_VE"],
            units=tuple(document["units"]),
            unit_UE=arrays["unit_UE"],
            words=_from_dict(document["words"]),
            drift=float(document["drift"]),
        )

    def _refuse_misfits(self, folder: Path) -> None:
        told, kept = len(self.texts), len(self.known.keys)
        fits = {
            "a future per user": len(self.future_NF) == len(self.users.vectors) == len(self.users.texts),
            "futures within the texts": bool((self.future_NF < told).all() and (self.future_NF >= -1).all()),
            "an encoding per text": told == len(self.is_event_V) == len(self.source_VS) == len(self.text_VE),
            "an encoding per unit": len(self.units) == len(self.unit_UE),
            "an encoding per key": kept == len(self.known.vectors) - 1,
        }
        if wrong := [name for name, holds in fits.items() if not holds]:
            raise _refused(folder, f"must have {' and '.join(wrong)}")


def _refused(folder: Path, why: str) -> FoundError:
    return FoundError(
        f"the calibration in {folder} {why}: fit it again with `python -m model.calibration`, or delete "
        f"{CONFIG} there to use the model uncalibrated."
    )


def _to_dict(words: LakeWords) -> dict[str, Any]:
    return {
        "sources": list(words.sources),
        "currency": words.currency,
        "categories": {name: list(values) for name, values in words.categories.items()},
        "numbers": list(words.numbers),
        "channels": list(words.channels),
        "compounds": sorted(map(list, words.compounds)),
    }


def _from_dict(document: Mapping[str, Any]) -> LakeWords:
    return LakeWords(
        sources=tuple(document["sources"]),
        currency=document["currency"],
        categories={name: tuple(values) for name, values in document["categories"].items()},
        numbers=tuple(document["numbers"]),
        channels=tuple(document["channels"]),
        compounds=frozenset((before, joint, after) for before, joint, after in document["compounds"]),
    )
