"""Interests: what distinct event texts are about, as K clusters of their encodings.

Shape suffixes: N texts, K interests, E encoder width.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import CENTROIDS, INTEREST_OF_TEXT, INTERESTS_CONFIG
from feature_repo.contracts.templates import TEMPLATE_VERSION
from model.lurm import folders
from model.lurm.kmeans import nearest, spherical_kmeans
from model.text_space import centre

MOST_INTERESTS = 100_000


@dataclass(frozen=True)
class Interests:
    """Unit centroids around the mean of the texts. `encoder` is the fingerprint of what encoded them."""

    centre_E: Tensor
    centroid_KE: Tensor
    encoder: str

    def __len__(self) -> int:
        return len(self.centroid_KE)

    @property
    def version(self) -> str:
        digest = hashlib.sha256(f"{TEMPLATE_VERSION} {self.encoder}".encode())
        for name, tensor in sorted(self._state().items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:12]

    def centred(self, encoded_NE: "np.ndarray") -> Tensor:
        """Encodings, of texts or of sentences, as unit vectors in the space of the centroids."""
        return centre(torch.from_numpy(np.ascontiguousarray(encoded_NE)), self.centre_E)

    def of(self, encoded_NE: "np.ndarray") -> "np.ndarray":
        """int32 [N]: the interest nearest to each text, whether clustering saw the text or not."""
        return nearest(self.centred(encoded_NE), self.centroid_KE)[0].numpy().astype(np.int32)

    def _state(self) -> dict[str, Tensor]:
        return {"centre": self.centre_E, "centroids": self.centroid_KE}

    def save(self, folder: Path) -> Path:
        """Writes `folder/VERSION`, whole or not at all; returns it."""
        told = {
            "version": self.version,
            "template_version": TEMPLATE_VERSION,
            "encoder": self.encoder,
            "clusters": len(self),
        }

        def write(draft: Path) -> None:
            save_file({name: t.contiguous() for name, t in self._state().items()}, str(draft / CENTROIDS))
            (draft / INTERESTS_CONFIG).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")

        return folders.write_once(folder / self.version, write)

    @classmethod
    def load(cls, folder: Path) -> "Interests":
        """The interests in the folder of one version. Raises FoundError where they are missing or damaged."""
        if not (folder / INTERESTS_CONFIG).is_file():
            raise FoundError(f"no interests in {folder}: run `python -m model.lurm.cluster fit` first.")
        told = json.loads((folder / INTERESTS_CONFIG).read_text())
        state = load_file(str(folder / CENTROIDS))
        if missing := {"centre", "centroids"} - state.keys():
            raise FoundError(
                f"{folder / CENTROIDS} lacks {sorted(missing)}: run `python -m model.lurm.cluster fit` again."
            )
        found = cls(state["centre"], state["centroids"], str(told["encoder"]))
        if found.version != told["version"]:
            raise FoundError(
                f"the interests in {folder} are of version {found.version}, their config says {told['version']}: run "
                "`python -m model.lurm.cluster fit` again."
            )
        return found


def fit(encoded_NE: "np.ndarray", *, clusters: int, seed: int, encoder: str) -> Interests:
    """At most `clusters` interests of these distinct texts, in the order of their vectors; never more than texts."""
    if not 1 <= clusters <= MOST_INTERESTS:
        raise FoundError(f"the number of interests must lie in 1 to {MOST_INTERESTS}, found {clusters}.")
    if not len(encoded_NE):
        raise FoundError("there is no text to cluster: run `build_interests.py texts` for a later cut-off.")
    centre_E = torch.from_numpy(np.asarray(encoded_NE).mean(0))
    point_NE = centre(torch.from_numpy(np.ascontiguousarray(encoded_NE)), centre_E)
    return Interests(centre_E, spherical_kmeans(point_NE, clusters, seed=seed), encoder)


def write_interest_of_text(folder: Path, of_text: Mapping[int, int]) -> None:
    """(text_key, interest) by ascending key, replaced atomically: what Spark joins."""
    keys = sorted(of_text)
    table = {
        "text_key": pa.array(keys, pa.int64()),
        "interest": pa.array([of_text[key] for key in keys], pa.int32()),
    }
    draft = folder / f".{INTEREST_OF_TEXT}"
    pq.write_table(pa.table(table), draft)
    os.replace(draft, folder / INTEREST_OF_TEXT)


def read_interest_of_text(folder: Path) -> dict[int, int]:
    """{text_key: interest}, empty before the first assignment."""
    if not (folder / INTEREST_OF_TEXT).exists():
        return {}
    table = pq.read_table(str(folder / INTEREST_OF_TEXT))
    return dict(zip(table["text_key"].to_pylist(), table["interest"].to_pylist(), strict=True))
