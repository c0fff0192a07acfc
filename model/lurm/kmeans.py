"""Spherical k-means in bounded memory: never more than CELLS similarities at once, whatever N and K are.

Shape suffixes: N points, K clusters, E width, C points of one chunk.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 1 << 24
ITERATIONS = 10
ROUNDS = 16


def nearest(point_NE: Tensor, centroid_KE: Tensor) -> tuple[Tensor, Tensor]:
    """The centroid of the largest inner product of each point, the first of several: places int64 [N], products [N]."""
    chunks = point_NE.split(max(1, CELLS // len(centroid_KE)))
    places, products = zip(*(_nearest(chunk_CE, centroid_KE) for chunk_CE in chunks), strict=True)
    return torch.cat(places), torch.cat(products)


def spherical_kmeans(point_NE: Tensor, clusters: int, *, seed: int, iterations: int = ITERATIONS) -> Tensor:
    """Unit centroids [K, E] of unit points; K is `clusters`, at most N. On a CPU the same seed gives the same bits.

    Lloyd's algorithm (Dhillon and Modha 2001). A cluster that lost its points starts anew at one of the points that
    are farthest from their own centroid. K = N needs no iteration: each point is a cluster.
    """
    clusters = min(clusters, len(point_NE))
    if clusters == len(point_NE):
        return point_NE.clone()
    centroid_KE = point_NE[start(point_NE, clusters, seed=seed)]
    for _ in range(iterations):
        place_N, cosine_N = nearest(point_NE, centroid_KE)
        moved_KE = _means(point_NE, place_N, clusters)
        empty = place_N.bincount(minlength=clusters) == 0
        farthest_N = cosine_N.argsort(stable=True)
        moved_KE[empty] = point_NE[farthest_N[: int(empty.sum())]]
        if torch.equal(moved_KE, centroid_KE):
            break
        centroid_KE = moved_KE
    return centroid_KE


def start(point_NE: Tensor, clusters: int, *, seed: int) -> Tensor:
    """The places [K] of K different points that lie apart: drawn in a few rounds, each point as likely as it is far
    from those drawn before (k-means++, Arthur and Vassilvitskii 2007, where K is at most ROUNDS)."""
    generator = torch.Generator().manual_seed(seed)
    far_N, drawn = point_NE.new_full((len(point_NE),), 2.0), torch.zeros(0, dtype=torch.int64)
    rounds = min(ROUNDS, clusters)
    for number in range(rounds):
        count = clusters * (number + 1) // rounds - len(drawn)
        new = torch.multinomial(far_N, count, generator=generator)
        drawn = torch.cat([drawn, new])
        far_N = torch.minimum(far_N, 1 - nearest(point_NE, point_NE[new])[1]).clamp(min=1e-6)
        far_N[drawn] = 0.0
    return drawn


def _nearest(chunk_CE: Tensor, centroid_KE: Tensor) -> tuple[Tensor, Tensor]:
    product_CK = chunk_CE @ centroid_KE.T
    place_C = product_CK.argmax(1)
    return place_C, product_CK.gather(1, place_C[:, None])[:, 0]


def _means(point_NE: Tensor, place_N: Tensor, clusters: int) -> Tensor:
    sum_KE = point_NE.new_zeros(clusters, point_NE.shape[1]).index_add_(0, place_N, point_NE)
    return F.normalize(sum_KE, dim=1)
