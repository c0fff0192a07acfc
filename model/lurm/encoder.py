"""The self-supervised multi-anchor encoder (LURM, stage II): sparse bags of K interests -> M vectors per user.

Only the paper's abstract is public; this is our reading of it. With w the log(1 + count) weights of a bag (unit
vector), g(k) the soft gate of interest k over the anchors, a(p) > 0 the weight of a period by its age, c(s) the
share of each scale:

    alpha(n, m) = c_m(s) a_m(p) w(n) g_m(k)       for each entry n: interest k in period p of scale s
    anchor_m    = sum_n alpha(n, m) (W_m e_k)     e_k the embedding of interest k

The scales are sums of the finest periods, and the whole life. An anchor is linear in the weighted bags, so that
little is lost, and adds periods up: a mean over periods hides how often a user comes (docs/lurm.md). The gates start
as M groups of interests, so that the anchors differ.

Shape suffixes: N entries, R bags, B users, K interests, M anchors, D width, S scales, A ages, E text encoder width,
C sentences.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError
from model.blocks import weighted_sum
from model.lurm import folders
from model.lurm.bags import Bags
from model.lurm.interests import Interests
from model.lurm.kmeans import spherical_kmeans

WEIGHTS, CONFIG = "encoder.safetensors", "config.json"
AGES = 12
"""Ages of periods fall into the buckets 0, 1, 2-3, 4-7, ... periods."""
SHARPNESS = 8.0
"""How firmly an interest starts in the anchor whose direction is nearest."""


@dataclass(frozen=True)
class Shape:
    """The form of an encoder. `scales` are lengths in periods; the whole life is one more."""

    anchors: int = 8
    width: int = 32
    scales: tuple[int, ...] = (1, 4)

    def __post_init__(self) -> None:
        for name, values in (("anchors", (self.anchors,)), ("width", (self.width,)), ("scales", self.scales)):
            if not values or min(values) < 1:
                raise FoundError(f"{name} must be at least 1, found {getattr(self, name)}.")


class MultiAnchorEncoder(nn.Module):
    """[B, M, D]: several vectors per user, zero for a user without events."""

    def __init__(self, shape: Shape, *, interests: int) -> None:
        super().__init__()
        anchors, width, scales = shape.anchors, shape.width, len(shape.scales) + 1
        self.shape, self.metadata = shape, dict[str, Any]()
        self.embedding_KD = nn.Parameter(torch.zeros(interests, width))
        self.gate_KM = nn.Parameter(torch.zeros(interests, anchors))
        self.project_MDD = nn.Parameter(torch.eye(width).repeat(anchors, 1, 1))
        self.age_SAM = nn.Parameter(torch.zeros(scales, AGES, anchors))
        self.scale_SM = nn.Parameter(torch.zeros(scales, anchors))
        self.version = ""

    @classmethod
    def untrained(cls, shape: Shape, interests: Interests, *, seed: int) -> "MultiAnchorEncoder":
        """Embeddings are the principal directions of the centroids, gates M clusters of the centroids."""
        encoder = cls(shape, interests=len(interests))
        centroid_KE = interests.centroid_KE
        if shape.anchors > len(interests) or shape.width > centroid_KE.shape[1]:
            raise FoundError(
                f"{shape.anchors} anchors of width {shape.width} do not fit {len(interests)} interests of width "
                f"{centroid_KE.shape[1]}: neither may be larger."
            )
        group_ME = spherical_kmeans(centroid_KE, shape.anchors, seed=seed)
        _, axis_EE = torch.linalg.eigh(centroid_KE.T @ centroid_KE)
        with torch.no_grad():
            encoder.embedding_KD.copy_(centroid_KE @ axis_EE[:, -shape.width :].flip(1))
            encoder.gate_KM.copy_(SHARPNESS * centroid_KE @ group_ME.T)
        encoder.metadata["interests"] = interests.version
        return encoder

    def forward(self, bags: Bags) -> Tensor:
        """[B, M, D]"""
        pooled_BMD = self._pooled(bags, self.embedding_KD)
        return torch.einsum("bmd,mde->bme", pooled_BMD, self.project_MDD)

    def in_text_space(self, bags: Bags, interests: Interests) -> Tensor:
        """[B, M, E]: each anchor as the weighted mean of the centroids, in the space of centred sentences."""
        pooled_BME = self._pooled(bags, interests.centroid_KE.to(self.gate_KM.device))
        weight_BM1 = self._pooled(bags, torch.ones_like(self.gate_KM[:, :1]))
        return pooled_BME / weight_BM1.clamp(min=1e-12)

    def _pooled(self, bags: Bags, table_KX: Tensor) -> Tensor:
        """[B, M, X]: sum_n alpha(n, m) table[k(n)]."""
        per_scale = [
            torch.stack([weighted_sum(table_KX, interest_N, alpha_N, user_N, len(bags)) for alpha_N in alpha_NM.T], 1)
            for user_N, interest_N, alpha_NM in self.coefficients(bags)
        ]
        return torch.stack(per_scale).sum(0)

    def coefficients(self, bags: Bags) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per scale, of each entry: the user [N], the interest [N] and alpha [N, M]."""
        lives = [*((length, bags.merged(length)) for length in self.shape.scales), (0, bags.whole_life())]
        share_SM, gate_KM = self.scale_SM.softmax(0), self.gate_KM.softmax(1)
        found = []
        for number, (length, life) in enumerate(lives):
            row_N, first_R = life.rows()
            period_RM = self.age_SAM[number, self._tensor(age_buckets(life.ago_N[first_R] * length))].exp()
            interest_N = self._tensor(life.interest_N)
            weight_N1 = self._tensor(life.weights())[:, None]
            alpha_NM = share_SM[number] * period_RM[self._tensor(row_N)] * weight_N1 * gate_KM[interest_N]
            found.append((self._tensor(life.user_N), interest_N, alpha_NM))
        return found

    def _tensor(self, values: "np.ndarray") -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.gate_KM.device)

    def save(self, folder: Path) -> Path:
        """Writes `folder/VERSION`, whole or not at all, and sets the version."""
        told = {"shape": asdict(self.shape), "clusters": len(self.gate_KM), "metadata": self.metadata}
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for name, tensor in sorted(state.items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
        self.version = digest.hexdigest()[:12]

        def write(draft: Path) -> None:
            (draft / CONFIG).write_text(json.dumps(told | {"version": self.version}, indent=1, sort_keys=True) + "\n")
            save_file(state, str(draft / WEIGHTS))

        return folders.write_once(folder / self.version, write)

    @classmethod
    def load(cls, folder: Path) -> "MultiAnchorEncoder":
        """The encoder in the folder of one version. Raises FoundError naming each tensor that does not fit."""
        if not (folder / CONFIG).is_file():
            raise FoundError(f"no multi-anchor encoder in {folder}: run `python -m model.lurm.train` first.")
        told = json.loads((folder / CONFIG).read_text())
        form = told["shape"]
        encoder = cls(Shape(form["anchors"], form["width"], tuple(form["scales"])), interests=int(told["clusters"]))
        state = load_file(str(folder / WEIGHTS))
        folders.refuse_other_tensors(encoder.state_dict(), state, folder / WEIGHTS)
        encoder.load_state_dict(state)
        encoder.metadata, encoder.version = told["metadata"], told["version"]
        return encoder.eval()


def age_buckets(ago: "np.ndarray") -> "np.ndarray":
    """0 for the newest period, then by powers of two; the last bucket holds all that is older."""
    return np.minimum(np.floor(np.log2(ago + 1)), AGES - 1).astype(np.int64)


def best_anchor(anchor_BME: Tensor, query_CE: Tensor) -> Tensor:
    """[B, C]: the score of each sentence, answered by the anchor of the largest inner product."""
    return torch.einsum("bme,ce->bmc", anchor_BME, query_CE).amax(1)
