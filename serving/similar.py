"""The raw query of the index: users by the inner product of their vectors with a user's, a sentence's or a given one.

Nothing is ranked again, calibrated or read into filters: a sentence is encoded as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving.audience import Vectors
from serving.errors import EmptyDemand, InvalidRequest, UnknownUsers
from serving.filters import Condition
from serving.rows import Hit, Publication
from serving.targeting import Targeting

_GREATEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Query:
    """One of the three."""

    user_id: str | None = None
    demand: str | None = None
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Similar:
    """The users of the highest inner products, best first, ties by user_id, and what answered."""

    users: tuple[Hit, ...]
    filters: tuple[Condition, ...]
    default_filters: tuple[Condition, ...]
    publication: Publication


def similar(
    targeting: Targeting, query: Query, *, limit: int, filters: Sequence[Condition] = (), without: Sequence[str] = ()
) -> Similar:
    """The `limit` nearest users within the filters; a user asked about is not among them.

    Raises AudienceTooSmall, UnknownUsers, EmptyDemand, DemandTooLong, OtherLanguage or InvalidRequest, or what a filter
    raises.
    """
    own = [query.user_id] if query.user_id is not None else []
    limits = targeting.eligibility.limits(filters, without=[*own, *without])
    name = targeting.publication.collection
    most = max(limit, targeting.smallest)
    found = targeting.many(targeting.index.search(name, _vector(targeting, query), most, limits.condition))[:limit]
    return Similar(tuple(found), tuple(filters), targeting.eligibility.default, targeting.publication)


def _vector(targeting: Targeting, query: Query) -> Vectors:
    publication = targeting.publication
    if query.user_id is not None:
        stored = targeting.index.vectors(publication.collection, [query.user_id])
        if query.user_id not in stored:
            raise UnknownUsers(f"the index {publication.collection} holds no user {query.user_id!r}.")
        return stored[query.user_id]
    if query.demand is not None:
        if not query.demand.strip():
            raise EmptyDemand("a demand must be a sentence, found an empty one.")
        targeting.reader.check(query.demand)
        return targeting.model.read_demands([query.demand.strip()], targeting.day)[0].vector
    given = query.vector or ()
    if len(given) != publication.dimension:
        raise InvalidRequest(
            f"a vector of {publication.collection} has {publication.dimension} numbers, found {len(given)}."
        )
    if not all(abs(number) <= _GREATEST for number in given):
        raise InvalidRequest("the numbers of a vector must be finite in single precision, found one that is not.")
    return np.array(given, np.float32)
