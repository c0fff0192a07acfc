"""What the routes of stored audiences hear and say."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from serving.answers import Response, TraitMessage, Versions
from serving.audiences.records import NewAudience, StoredAudience
from serving.messages import LookalikeRequest, Request, TargetRequest

MOST_TEXTS = 1_000
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Picnic, June"])]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Format = Literal["csv", "jsonl", "parquet"]
Status = Literal["queued", "running", "ready", "failed", "cancelled"]
AudienceId = Annotated[str, Field(min_length=1, max_length=64, examples=["aud_6b61f2ae2be9"])]

_OWN = {"name", "holdout_share", "counts_when"}


class _Promise(Request):
    name: Name
    holdout_share: Annotated[
        float, Field(ge=0.0, le=0.5, description="the share of members that no export holds, to measure what it did")
    ] = 0.0
    counts_when: list[Text] = Field(
        default_factory=list,
        max_length=MOST_TEXTS,
        description="texts of the lake; any of them in the window counts as having done it",
    )

    def audience(self, kind: str, key: str | None) -> NewAudience:
        """The request as the store knows it."""
        asked = self.model_dump(mode="json", exclude=_OWN)
        return NewAudience(self.name, kind, asked, self.holdout_share, tuple(self.counts_when), key)


class CreateTarget(_Promise, TargetRequest):
    """An audience from a sentence."""


class CreateLookalike(_Promise, LookalikeRequest):
    """An audience from seeds."""


def _kind(body: Any) -> str:
    seeds = "positives" in body if isinstance(body, dict) else isinstance(body, CreateLookalike)
    return "lookalike" if seeds else "target"


CreateAudience = Annotated[
    Annotated[CreateTarget, Tag("target")] | Annotated[CreateLookalike, Tag("lookalike")], Discriminator(_kind)
]


class Rename(Request):
    name: Name


class Compare(Request):
    audiences: Annotated[list[AudienceId], Field(min_length=2, max_length=2, description="two audiences")]


class CreateExport(Request):
    url: Annotated[str, Field(min_length=1, max_length=2000, examples=["https://crm.example.com/audiences"])]
    format: Format = "jsonl"


class PredictionMessage(Response):
    expected: float = Field(description="how many members will do it")
    low: int
    high: int
    level: float = Field(description="how sure the interval from low to high is, if the probabilities are right")
    method: str


class FindingMessage(Response):
    code: str
    message: str


class SeedNote(Response):
    user_id: str
    note: str = Field(description="'unknown' or 'unlike the others'")


class DiagnosticsMessage(Response):
    findings: list[FindingMessage] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)
    users: list[SeedNote] = Field(default_factory=list)


class FailureMessage(Response):
    code: str
    detail: str
    hint: str


class StoredAudienceMessage(Versions):
    """A stored audience. The versions are empty until it is ready."""

    id: str
    name: str
    kind: Literal["target", "lookalike"]
    created_at: str
    status: Status
    progress: float = Field(description="0 to 1")
    demand: str
    request: dict[str, Any] = Field(description="what was asked, without its lists of users")
    size: int
    holdout_share: float
    held_out: int = Field(description="how many members no export holds")
    horizon_days: int = Field(description="the window is [ds + gap_days, ds + gap_days + horizon_days)")
    gap_days: int
    counts: dict[str, Any] | None = Field(description="what counts as having done it; fixed before the window")
    prediction: PredictionMessage | None
    diagnostics: DiagnosticsMessage | None
    backtest: dict[str, Any] | None = Field(description="what became of it, once the window has passed")
    why: list[TraitMessage] | None = Field(description="what the members did more than other users, beyond chance")
    error: FailureMessage | None


class AudiencePage(Response):
    data: list[StoredAudienceMessage]
    has_more: bool
    next_cursor: str | None


class DeletedMessage(Versions):
    id: str
    deleted: bool


class ComparedMessage(Response):
    audiences: list[StoredAudienceMessage]
    both: int | None = Field(
        description="how many users are members of both; null, as what follows, where the overlap, or what is outside "
        "of it, is smaller than the server's minimum_audience"
    )
    jaccard: float | None = Field(description="both / either; 0 where both audiences are empty")
    shares: list[float] | None = Field(description="the part of each audience that is in the other")


class SeedsMessage(Response):
    positives: list[str]
    negatives: list[str]
    rows: int
    empty: int = Field(description="rows without an id")
    duplicates: int
    left_out: int = Field(description="seeds beyond the most that are used; which ones depends on their ids alone")


class ExportMessage(Versions):
    id: str
    audience: str
    created_at: str
    url: str
    format: Format
    status: Literal["queued", "running", "delivered", "failed"]
    attempts: int
    error: str | None


class ExportList(Response):
    data: list[ExportMessage]


def message_of(stored: StoredAudience, notes: list[SeedNote]) -> StoredAudienceMessage:
    """The audience as the API shows it."""
    told = {name: getattr(stored, name) for name in StoredAudienceMessage.model_fields if hasattr(stored, name)}
    diagnostics = {**stored.diagnostics, "users": notes} if stored.diagnostics else None
    request = {**stored.request["asked"], "counts_when": stored.request["counts_when"]}
    own = {"demand": request.get("demand", ""), "request": request, "diagnostics": diagnostics}
    return StoredAudienceMessage.model_validate({**told, **own, "counts": stored.counting})
