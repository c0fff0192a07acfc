"""A lake's texts in the encoder's space: where their centre is, and what a sentence is near to.

Shape suffixes: N sentences, V distinct texts, L landmarks, E encoder width.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LANDMARKS = 2_000
NEAREST_SHARE = 0.005
"""A demand looks at this share of the landmarks: at none, where a lake has few texts."""
PULL = 0.5
AXES_TEXTS = 50_000
"""The principal axes are those of about so many texts: keys are hashes, so every n-th text is a random sample."""


class TextSpace(nn.Module):
    """Texts are unit vectors around the mean of the lake's texts, since what all share tells no user from another.

    A demand is said otherwise than the lake's texts are, so it is moved towards those nearest to it among the most
    frequent ones, the landmarks (pseudo-relevance feedback: Rocchio 1971).
    """

    centre_E: Tensor
    axes_EE: Tensor
    landmark_LE: Tensor

    def __init__(self, centre_E: Tensor, landmarks: int = 0) -> None:
        super().__init__()
        width = len(centre_E)
        self.register_buffer("centre_E", centre_E)
        self.register_buffer("axes_EE", torch.eye(width, dtype=centre_E.dtype, device=centre_E.device))
        self.register_buffer("landmark_LE", centre_E.new_zeros(landmarks, width))

    @classmethod
    def of(cls, vector_VE: "np.ndarray", count_V: "np.ndarray") -> "TextSpace":
        """The space of these texts; `count_V` says how often each is seen."""
        space = cls(torch.from_numpy(vector_VE.mean(0)))
        some_NE = torch.from_numpy(vector_VE[:: 1 + len(vector_VE) // AXES_TEXTS])
        space.axes_EE = principal_axes(centre(some_NE, space.centre_E))
        often = np.argsort(-count_V, kind="stable")[: min(MAX_LANDMARKS, int((count_V > 0).sum()))]
        space.landmark_LE = space.centred(torch.from_numpy(vector_VE[np.sort(often)]))
        return space

    def centred(self, encoded_NE: Tensor) -> Tensor:
        """Unit vectors [N, E], in the precision of what is given."""
        return centre(encoded_NE, self.centre_E.to(encoded_NE.dtype))

    def turned(self, vector_NE: Tensor, size: int = 0) -> Tensor:
        """[N, size], by 0 [N, E]: along the texts' principal axes, so that a prefix holds as much of the texts as so
        few numbers can. Whole vectors keep their inner products."""
        return vector_NE @ self.axes_EE[: size or None].T.to(vector_NE.dtype)

    def asked(self, encoded_NE: Tensor) -> Tensor:
        """Unit vectors [N, E] of demands."""
        demand_NE = self.centred(encoded_NE)
        nearest = int(NEAREST_SHARE * len(self.landmark_LE))
        if not nearest:
            return demand_NE
        near_NK = (demand_NE.detach() @ self.landmark_LE.T).topk(nearest, dim=1).indices
        return F.normalize(demand_NE + PULL * F.normalize(self.landmark_LE[near_NK].mean(1), dim=-1), dim=-1)


def principal_axes(unit_VE: Tensor) -> Tensor:
    """[E, E]: orthonormal rows, of the texts' largest mean square first; the signs are fixed."""
    double_VE = unit_VE.double()
    axes_EE = torch.linalg.eigh(double_VE.T @ double_VE).eigenvectors.flip(1).T
    largest_E1 = axes_EE.gather(1, axes_EE.abs().argmax(1, keepdim=True))
    return (axes_EE * largest_E1.sign()).to(unit_VE.dtype)


def centre(encoded_NE: Tensor, centre_E: Tensor) -> Tensor:
    """Unit vectors [N, E] around a centre."""
    return F.normalize(encoded_NE - centre_E, dim=-1)
