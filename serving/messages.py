"""What the API hears and says."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from serving.index import MOST_USERS

Size = Annotated[
    int,
    Field(
        ge=1,
        description="how many users are wanted; `found export` writes more than this maximum",
        examples=[20],
        json_schema_extra={"maximum": MOST_USERS},  # refused by the desk, whose error says what to do
    ),
]
Demand = Annotated[str, Field(max_length=1000, examples=["families who will plan a picnic this summer"])]
UserId = Annotated[str, Field(min_length=1, max_length=256)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]

MOST_SEEDS = 1000


class Request(BaseModel):
    """Unknown fields are refused: a misspelt limit must not be a missing one."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class TargetRequest(Request):
    demand: Annotated[Demand, Field(min_length=1)]
    size: Size = 20
    minimum_probability: Probability = 0.0


class LookalikeRequest(Request):
    positives: Annotated[list[UserId], Field(max_length=MOST_SEEDS, description="users who do it")]
    negatives: Annotated[
        list[UserId], Field(max_length=MOST_SEEDS, description="users who do not; random ones where none are given")
    ] = []
    demand: Annotated[Demand, Field(description="what the positives have in common, if you can say it")] = ""
    size: Size = 20


class PublishRequest(Request):
    ds: Annotated[date, Field(description="the day of the embeddings")]


class Response(BaseModel):
    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


class Versions(Response):
    """What answered."""

    model_version: str
    collection: str = Field(description="the index collection that was searched")
    ds: str = Field(description="the day that the vectors stand for")
    template_version: int


class ReasonMessage(Response):
    text: str = Field(description="a text of the user's own history")
    similarity: float = Field(description="its cosine to what was asked")


class MemberMessage(Response):
    user_id: str
    score: float = Field(description="log odds that the user does what was asked")
    probability: Probability
    reasons: list[ReasonMessage]


class AudienceMessage(Versions):
    demand: str
    users: list[MemberMessage] = Field(description="best first")
    negatives: list[str] = Field(description="the random users that stood in for negative seeds")


class FeaturesMessage(Versions):
    user_id: str
    features: dict[str, dict[str, Any]] = Field(description="the serving service's features, by feature view")


class ReadyMessage(Versions):
    status: str = "ready"


class AliveMessage(Response):
    status: str = "alive"
    instance: str = Field(description="a new id for every start of the server")


class PublishedMessage(Versions):
    message: str
    users: int
    written: int
    deleted: int


class RolledBackMessage(Versions):
    message: str


class Problem(BaseModel):
    """An error as application/problem+json (RFC 9457) with a stable code and the next step."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    hint: str
