"""Spherical k-means in bounded memory: never more than CELLS similarities at once, whatever N and K are.

Shape suffixes: N points, K clusters, E width, C points of one chunk.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 1 << 24
ITERATIONS = 10


def nearest(point_NE: Tensor, centroid_KE: Tensor) -> tuple[Tensor, Tensor]:
    """The centroid of the largest inner product of each point, the first of several: places int64 [N], products [N]."""
    found = [_nearest(chunk_CE, centroid_KE) for chunk_CE in _chunks(point_NE, len(centroid_KE))]
    places, products = zip(*found, strict=True) if found else ((), ())
    return torch.cat([*places, torch.zeros(0, dtype=torch.int64)]), torch.cat([*products, point_NE.new_zeros(0)])


def spherical_kmeans(point_NE: Tensor, clusters: int, *, seed: int, iterations: int = ITERATIONS) -> Tensor:
    """Unit centroids [K, E] of unit points; K is `clusters`, at most N. On a CPU the same seed gives the same bits.

    Lloyd's algorithm from K different points (Dhillon and Modha 2001). A cluster that lost its points starts anew
    at one of the points that are farthest from their own centroid. K = N needs no iteration: each point is a cluster.
    """
    clusters = min(clusters, len(point_NE))
    if clusters == len(point_NE):
        return point_NE.clone()
    start_K = torch.randperm(len(point_NE), generator=torch.Generator().manual_seed(seed))[:clusters]
    centroid_KE = point_NE[start_K]
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


def _chunks(point_NE: Tensor, clusters: int) -> Iterator[Tensor]:
    return iter(point_NE.split(max(1, CELLS // max(1, clusters)))) if len(point_NE) else iter(())


def _nearest(chunk_CE: Tensor, centroid_KE: Tensor) -> tuple[Tensor, Tensor]:
    product_CK = chunk_CE @ centroid_KE.T
    place_C = product_CK.argmax(1)
    return place_C, product_CK.gather(1, place_C[:, None])[:, 0]


def _means(point_NE: Tensor, place_N: Tensor, clusters: int) -> Tensor:
    sum_KE = point_NE.new_zeros(clusters, point_NE.shape[1]).index_add_(0, place_N, point_NE)
    return F.normalize(sum_KE, dim=1)
