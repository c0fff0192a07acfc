"""What the routes of stored audiences say. Clients import this: it needs pydantic alone."""

from typing import Any, Literal

from pydantic import Field

from serving.answers import ReasonMessage, Response, TraitMessage, Versions

Format = Literal["csv", "jsonl", "parquet"]
Status = Literal["queued", "running", "ready", "failed", "cancelled"]


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


class ExplainedMessage(Response):
    user_id: str
    reasons: list[ReasonMessage] = Field(description="texts of the user's history, what moved the score most first")


class ExplainedMembers(Versions):
    data: list[ExplainedMessage] = Field(description="the first members, best first, without the hold-out")


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


class ReceiversMessage(Response):
    enabled: bool = Field(description="whether this server sends exports at all")
    hosts: list[str] = Field(
        description="the hosts that an export may go to, with a port where it is not that of https"
    )


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
