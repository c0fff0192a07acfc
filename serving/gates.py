"""What a night must pass before anything of it is written: a day that lost half of its users, or whose vectors point
elsewhere than those that the same model made before, is a fault of the pipeline more often than of the users."""

import numpy as np
from numpy.typing import NDArray

from serving.embeddings import Embeddings
from serving.errors import PublicationRefused
from serving.index import UserIndex
from serving.rows import Publication, Vector

LEAST_SHARE = 0.5
"""Of the users of the collection in service."""
LEAST_COSINE = 0.8
"""The median of users who are in both, between what they had and what they get: 0.98 after 45 days of the generated
lake, 0.4 for another user's."""
FEWEST = 20
"""Of fewer users nothing is said."""
_SAMPLED = 500
_NOTHING = 1e-12


def refuse_suspicious(index: UserIndex, current: Publication, embeddings: Embeddings) -> None:
    """Raises PublicationRefused for a day that is unlike the one in service."""
    before, now = index.count(current.collection), len(embeddings.input_hashes)
    if before < FEWEST:
        return
    if now < LEAST_SHARE * before:
        raise PublicationRefused(
            f"the embeddings of {embeddings.ds} have {now} users, {current.collection} in service has {before}: if so "
            "many are gone, publish with --force."
        )
    made_by = (current.model_version, current.dimension)
    if made_by == (embeddings.model_version, embeddings.dimension):
        _refuse_turned(index, current, embeddings)


def _refuse_turned(index: UserIndex, current: Publication, embeddings: Embeddings) -> None:
    users = list(embeddings.input_hashes)
    chosen = set(users[:: -(-len(users) // _SAMPLED)])
    stored = index.vectors(current.collection, list(chosen))
    pairs = [(row.vector, stored[row.user_id]) for row in embeddings.rows(chosen.__contains__) if row.user_id in stored]
    if len(pairs) < FEWEST:
        return
    median = float(np.median(_cosines(*map(np.stack, zip(*pairs, strict=True)))))
    if median < LEAST_COSINE:
        raise PublicationRefused(
            f"the vectors of {embeddings.ds} are not those of the same model: of {len(pairs)} users who are in "
            f"{current.collection} too, the median cosine to what they have there is {median:.2f}, expected "
            f"{LEAST_COSINE} or more. Embed the day again (spark_jobs/embed_users.py --full), or publish with --force."
        )


def _cosines(one: Vector, other: Vector) -> NDArray[np.float64]:
    """Row by row, seen from the mean of each side: users' vectors nearly share one direction, so that even those of two
    strangers are close. Where all users had one vector and have one again, they agree."""
    apart = [rows - rows.mean(0, dtype=np.float64) for rows in (one, other)]
    norms = [np.linalg.norm(rows, axis=1) for rows in apart]
    alike = (norms[0] <= _NOTHING) & (norms[1] <= _NOTHING)
    cosines = (apart[0] * apart[1]).sum(1) / np.maximum(norms[0] * norms[1], _NOTHING)
    return np.where(alike, 1.0, cosines)
