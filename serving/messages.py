"""What the API hears."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.filters import MOST_FILTERS, MOST_VALUES
from serving.index import MOST_USERS
from serving.question import (
    EXPLAINED,
    MOST_CHARACTERS,
    MOST_CONDITIONS,
    MOST_EXPLAINED,
    MOST_SENTENCES,
    Question,
    question_of,
)

Size = Annotated[
    int,
    Field(
        ge=1,
        description="how many users are wanted; `found export` writes more than this maximum",
        examples=[20],
        json_schema_extra={"maximum": MOST_USERS},  # refused by the desk, whose error says what to do
    ),
]
Demand = Annotated[
    str,
    Field(
        max_length=20 * MOST_CHARACTERS,
        description=f"one sentence of at most {MOST_CHARACTERS} characters",
        examples=["families who will plan a picnic this summer"],
    ),
]
UserId = Annotated[str, Field(min_length=1, max_length=256)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Scalar = bool | Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=1000)]

Explain = Annotated[
    int,
    Field(
        ge=0,
        le=MOST_EXPLAINED,
        description="so many of the first users have reasons; with 0 nothing says why, not even of the whole audience",
    ),
]

MOST_SEEDS = 1000
MOST_EXCLUDED = 10_000


class Request(BaseModel):
    """Unknown fields are refused: a misspelt limit must not be a missing one. So is what is of another type."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, strict=True)


class FilterMessage(Request):
    field: Annotated[str, Field(min_length=1, max_length=256, examples=["age"])]
    op: Literal["=", "!=", ">", ">=", "<", "<=", "in", "not in", "between"]
    value: Scalar | Annotated[list[Scalar], Field(max_length=MOST_VALUES)]


class AnyFilterMessage(Request):
    any: Annotated[list[FilterMessage], Field(min_length=1, max_length=MOST_FILTERS, description="one is enough")]


class SentenceMessage(Request):
    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
    negated: Annotated[bool, Field(description="users to whom it does not happen")] = False
    joined: Annotated[Literal["and", "or"], Field(description="to the sentence before it")] = "and"


Filters = Annotated[
    list[FilterMessage | AnyFilterMessage],
    Field(max_length=MOST_FILTERS, description="all must hold; fields are the lake's profile columns and activity"),
]
Excluded = Annotated[list[UserId], Field(max_length=MOST_EXCLUDED, description="users to leave out")]


class TargetRequest(Request):
    demand: Demand = ""
    sentences: Annotated[
        list[SentenceMessage] | None,
        Field(max_length=MOST_SENTENCES, description="what the model is asked, in place of what the demand is read as"),
    ] = None
    conditions: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=MOST_CONDITIONS, description="an answer's conditions, edited, in place of the demand's own"),
    ] = None
    filters: Filters = []
    exclude_users: Excluded = []
    size: Size = 20
    minimum_probability: Probability = 0.0

    def question(self) -> Question:
        asked = self.model_dump(include={"demand", "sentences", "conditions", "filters", "exclude_users"})
        return question_of(**asked)


class ExplainedTarget(TargetRequest):
    explain: Explain = EXPLAINED


class LookalikeRequest(Request):
    positives: Annotated[list[UserId], Field(max_length=MOST_SEEDS, description="users who do it")]
    negatives: Annotated[
        list[UserId], Field(max_length=MOST_SEEDS, description="users who do not; random ones where none are given")
    ] = []
    demand: Annotated[Demand, Field(description="what the positives have in common, if you can say it")] = ""
    filters: Filters = []
    exclude_users: Excluded = []
    size: Size = 20

    def question(self) -> Question:
        asked = self.model_dump(include={"demand", "filters", "exclude_users"})
        return question_of(**asked)


class ExplainedLookalike(LookalikeRequest):
    explain: Explain = EXPLAINED


class PublishRequest(Request):
    ds: Annotated[date, Field(strict=False, description="the day of the embeddings")]
    force: Annotated[bool, Field(description="also a day that is older than the one in service, or unlike it")] = False
