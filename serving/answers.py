"""What the API says."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


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
    effect: float = Field(description="how much lower the log odds would be without it; in part an estimate")
    probability_effect: float = Field(description="how much lower the probability would be without it")
    source: str = Field(description="the source of the newest event with this text; empty where none is online")
    count: int = Field(description="how many such events the online store holds")
    last_day: str = Field(description="the day of the newest one")


class MemberMessage(Response):
    user_id: str
    score: float = Field(description="log odds that the user does what was asked")
    probability: Probability
    reasons: list[ReasonMessage]


class AskedMessage(Response):
    text: str
    negated: bool = Field(description="users to whom it does not happen")
    joined: str = Field(description="to the sentence before it; of those joined by `or` one is enough")


class HistoryMessage(Response):
    rule: str = Field(description="a condition about what users did")
    texts: list[str] = Field(description="the first of the lake's texts that it is about")
    all_texts: int


class RewrittenMessage(Response):
    sentences: list[AskedMessage] = Field(description="what the model was asked; may be edited and asked again")
    conditions: list[str] = Field(description="the audience's `conditions` in words, in their order")
    history: list[HistoryMessage]
    not_understood: str
    warnings: list[str]


class OneFilterMessage(Response):
    field: str
    op: str
    value: bool | float | str | list[bool | float | str]


class AnyOneFilterMessage(Response):
    any: list[OneFilterMessage]


FilterMessages = list[OneFilterMessage | AnyOneFilterMessage]


class ExpectedMessage(Response):
    size: float = Field(description="how many users of the index will do it, by the model's probabilities")
    low: float = Field(description="the true number lies between low and high in 80 % of cases")
    high: float


class TraitMessage(Response):
    kind: str = Field(description="a `word` of texts, or a whole `text`")
    said: str
    members: float = Field(description="the share of members whose history has it")
    others: float = Field(description="the share of other users, by a fixed sample")
    lift: float = Field(description="the ratio of both, drawn towards 1 where few users say so")


class AudienceMessage(Versions):
    demand: str
    users: list[MemberMessage] = Field(description="best first")
    negatives: list[str] = Field(description="the random users that stood in for negative seeds")
    rewritten: RewrittenMessage = Field(description="how the demand was read")
    conditions: list[dict[str, Any]] = Field(description="the demand's conditions; may be edited and asked again")
    filters: FilterMessages = Field(description="those of the request and of the demand's words")
    default_filters: FilterMessages = Field(description="those of the server, which apply to every request")
    expected: ExpectedMessage | None = Field(
        description="null for seeds, several sentences, filters or rules, and where the model is not calibrated"
    )
    why: list[TraitMessage] = Field(description="what the members did more than other users, beyond chance")


class DecileMessage(Response):
    users: int
    mean_probability: Probability
    expected: float = Field(description="how many of them will probably do it")


class CurvePointMessage(Response):
    size: int = Field(description="of an audience of the likeliest users")
    probability: Probability = Field(description="of the last of them: all users at or above it are the audience")
    expected: float = Field(description="how many of them will probably do it")
    low: int = Field(
        description="the true number lies between low and high in 80 % of cases, as a stored audience says"
    )
    high: int


class PreviewMessage(Response):
    audience: AudienceMessage = Field(description="with a sample of its users")
    size: int = Field(description="how many users the audience has")
    eligible: int = Field(description="how many users meet the filters")
    eligible_is_upper_bound: bool = Field(description="rules over single events leave fewer")
    expected_precision: Probability
    expected_precision_interval: tuple[Probability, Probability] = Field(
        description="95 %, if the probabilities hold and users act independently"
    )
    deciles: list[DecileMessage] = Field(description="tenths of the audience, best first")
    curve: list[CurvePointMessage] = Field(description="smaller audiences of the same question, up to this one")


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
