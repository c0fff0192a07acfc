"""What the routes of stored audiences hear, and a stored audience as they show it."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from serving.audiences.answers import Format, SeedNote, StoredAudienceMessage
from serving.audiences.records import NewAudience, StoredAudience
from serving.messages import LookalikeRequest, Request, TargetRequest

MOST_TEXTS = 1_000
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Picnic, June"])]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
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


def message_of(stored: StoredAudience, notes: list[SeedNote]) -> StoredAudienceMessage:
    """The audience as the API shows it."""
    told = {name: getattr(stored, name) for name in StoredAudienceMessage.model_fields if hasattr(stored, name)}
    diagnostics = {**stored.diagnostics, "users": notes} if stored.diagnostics else None
    request = {**stored.request["asked"], "counts_when": stored.request["counts_when"]}
    own = {"demand": request.get("demand", ""), "request": request, "diagnostics": diagnostics}
    return StoredAudienceMessage.model_validate({**told, **own, "counts": stored.counting})
