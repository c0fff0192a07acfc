"""The routes of single users and vectors: who is near, and an embedding made now."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path
from pydantic import Field, model_validator

from serving import errors as e
from serving.access.audit import note
from serving.answers import FilterMessages, Response, Versions
from serving.api import TheDesk
from serving.messages import Demand, Excluded, Filters, Request, Size, UserId
from serving.problems import documented
from serving.question import question_of
from serving.similar import Query

MOST_NUMBERS = 32_768
"""A Milvus vector has no more."""
Number = Annotated[float, Field(allow_inf_nan=False)]

router = APIRouter()


class SimilarRequest(Request):
    user_id: Annotated[UserId | None, Field(description="near to this user, who is left out")] = None
    demand: Annotated[Demand | None, Field(description="near to this sentence, encoded as it is")] = None
    vector: Annotated[
        list[Number] | None, Field(max_length=MOST_NUMBERS, description="near to this vector of the index's size")
    ] = None
    limit: Size = 20
    filters: Filters = Field(default_factory=list)
    exclude_users: Excluded = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_query(self) -> Self:
        if len(found := [n for n in ("user_id", "demand", "vector") if getattr(self, n) is not None]) != 1:
            raise ValueError(f"give one of user_id, demand and vector, found {' and '.join(found) or 'none'}")
        return self

    def query(self) -> Query:
        return Query(self.user_id, self.demand, None if self.vector is None else tuple(self.vector))


class HitMessage(Response):
    user_id: str
    score: float = Field(description="the inner product of both vectors, as the index has it")


class SimilarMessage(Versions):
    users: list[HitMessage] = Field(description="best first")
    filters: FilterMessages
    default_filters: FilterMessages = Field(description="those of the server, which apply to every request")


class WeightedTextMessage(Response):
    text: str = Field(description="empty where the day's texts do not hold it")
    weight: float = Field(description="how much it counts when the index's users are ranked again")


class FreshMessage(Versions):
    user_id: str
    vector: list[float]
    texts: list[WeightedTextMessage] = Field(description="the texts of the history, the heaviest first")
    features_ds: str = Field(description="the cut-off of the online features")
    input_hash: str = Field(description="of all that the model saw: equal ones of one model mean equal embeddings")


@router.post(
    "/v1/users:similar",
    response_model=SimilarMessage,
    responses=documented(
        *e.UNREADY, *e.FILTERED, e.UnknownUsers, e.EmptyDemand, e.DemandTooLong, e.OtherLanguage, e.AudienceTooLarge
    ),
    tags=["users"],
)
def similar(asked: SimilarRequest, desk: TheDesk) -> Any:
    """The users whose vectors have the highest inner products with a user's, a sentence's or a given vector."""
    filters = question_of(filters=asked.model_dump()["filters"]).filters
    found = desk.similar(asked.query(), limit=asked.limit, filters=filters, without=asked.exclude_users)
    note(found.publication.versions, size=len(found.users))
    return {**vars(found), **found.publication.versions}


@router.post(
    "/v1/users/{user_id:path}:embed",
    response_model=FreshMessage,
    responses=documented(*e.UNREADY, e.UserWithoutFeatures, e.FeaturesMissing, e.FeaturesUnreachable),
    tags=["users"],
)
def embed(user_id: Annotated[str, Path(min_length=1, max_length=256)], desk: TheDesk) -> Any:
    """The user's vector and weighted texts, computed now from the online features; the index stays as it is."""
    found = desk.embed(user_id)
    note(found.publication.versions)
    return {**vars(found), **found.publication.versions}
