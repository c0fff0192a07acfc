"""What the store holds of an audience."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from feature_repo.contracts.blocklist import Blocked
from serving.versions import versions_of

QUEUED, RUNNING, READY, FAILED, CANCELLED = "queued", "running", "ready", "failed", "cancelled"
UNFINISHED = (QUEUED, RUNNING)

POSITIVES, NEGATIVES, EXCLUDED = "positives", "negatives", "exclude_users"
USER_LISTS = (POSITIVES, NEGATIVES, EXCLUDED)
"""The parts of a request that name users; they are kept as rows, so that a user can be found and removed."""


@dataclass(frozen=True)
class NewAudience:
    """A request for an audience. `asked` is what the desk is asked, `counts_when` the texts that are said to count."""

    name: str
    kind: str
    asked: Mapping[str, Any]
    holdout_share: float = 0.0
    counts_when: tuple[str, ...] = ()
    idempotency_key: str | None = None

    def without(self, blocked: Blocked) -> "NewAudience":
        """The same request, erased users not named."""
        lists = {
            side: [user for user in self.asked[side] if not blocked.holds(user)]
            for side in USER_LISTS
            if blocked and self.asked.get(side)
        }
        return replace(self, asked={**self.asked, **lists})

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests."""
        told = [self.name, self.kind, dict(self.asked), self.holdout_share, list(self.counts_when)]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class StoredMember:
    """A member at its rank; one of the hold-out is never exported."""

    user_id: str
    score: float
    probability: float
    holdout: bool


@dataclass(frozen=True)
class GivenUser:
    """A user that the request named; `note` is what the diagnostics found of it, or ''."""

    side: str
    user_id: str
    note: str = ""


@dataclass(frozen=True)
class Made:
    """What an audience became: the members, best first, what answered, what was promised, and what members did more."""

    members: Sequence[StoredMember]
    versions: Mapping[str, Any]
    horizon_days: int
    gap_days: int
    counting: Mapping[str, Any]
    prediction: Mapping[str, Any]
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    why: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class StoredAudience:
    """An audience without its members. The versions are empty and the sizes 0 until it is ready."""

    number: int
    id: str
    name: str
    created_at: str
    kind: str
    request: dict[str, Any]
    holdout_share: float
    fingerprint: str
    status: str
    progress: float
    error: dict[str, Any] | None
    model_version: str
    collection: str
    ds: str
    template_version: int
    horizon_days: int
    gap_days: int
    size: int
    held_out: int
    counting: dict[str, Any] | None
    prediction: dict[str, Any] | None
    diagnostics: dict[str, Any] | None
    backtest: dict[str, Any] | None
    why: list[dict[str, Any]] | None

    @property
    def versions(self) -> dict[str, Any]:
        return versions_of(self)


def users_of(asked: Mapping[str, Any]) -> list[GivenUser]:
    """The users that a request names, by side, in its order."""
    return [GivenUser(side, user) for side in USER_LISTS for user in asked.get(side) or ()]


def asked_again(request: Mapping[str, Any], users: Iterable[GivenUser]) -> dict[str, Any]:
    """What the desk is to be asked: the stored request with its users."""
    lists: dict[str, list[str]] = {side: [] for side in request.get("user_lists", ())}
    for user in users:
        lists[user.side].append(user.user_id)
    return {**request["asked"], **lists}
