"""Which role a route needs. A route that is not listed needs the highest one, so that none is open by oversight."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType


class Role(IntEnum):
    """Each may do what the ones before it may."""

    VIEWER = 1
    """Reads and previews: figures, never a user id."""
    ANALYST = 2
    """Sees users: makes, reads and exports audiences."""
    ADMIN = 3
    """Publishes, rolls back, erases."""

    @property
    def label(self) -> str:
        return self.name.lower()


ROLES = tuple(role.label for role in Role)


def role_of(label: str) -> Role:
    return Role[label.upper()]


class Queue(Enum):
    """What requests wait for; each has places of its own, so that none fills another's."""

    MODEL = "the model"
    JOBS = "audiences to be made"
    READS = "what is stored"


@dataclass(frozen=True)
class Rule:
    """The least role that may ask, and the queue that the request stands in."""

    role: Role
    queue: Queue = Queue.READS


OPEN = frozenset({"GET /healthz", "GET /readyz"})
"""Routes that ask for no key. What is no route of the API (the page's files, the documentation) needs none either."""

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "POST /v1/audiences:preview": Rule(Role.VIEWER, Queue.MODEL),
        "POST /v1/audiences:target": Rule(Role.ANALYST, Queue.MODEL),
        "POST /v1/audiences:lookalike": Rule(Role.ANALYST, Queue.MODEL),
        "POST /v1/audiences": Rule(Role.ANALYST, Queue.JOBS),
        "GET /v1/audiences": Rule(Role.VIEWER),
        "GET /v1/audiences/{audience_id}": Rule(Role.VIEWER),
        "PATCH /v1/audiences/{audience_id}": Rule(Role.ANALYST),
        "DELETE /v1/audiences/{audience_id}": Rule(Role.ANALYST),
        "POST /v1/audiences/{audience_id}:cancel": Rule(Role.ANALYST),
        "GET /v1/audiences/{audience_id}/members": Rule(Role.ANALYST),
        "GET /v1/audiences/{audience_id}/reasons": Rule(Role.ANALYST, Queue.MODEL),
        "POST /v1/audiences/{audience_id}/exports": Rule(Role.ANALYST),
        "GET /v1/audiences/{audience_id}/exports": Rule(Role.ANALYST),
        "GET /v1/receivers": Rule(Role.ANALYST),
        "POST /v1/audiences:compare": Rule(Role.VIEWER),
        "POST /v1/seeds:parse": Rule(Role.ANALYST),
        "GET /metrics": Rule(Role.VIEWER),
        "GET /v1/examples": Rule(Role.VIEWER),
        "GET /v1/map": Rule(Role.VIEWER),
        "POST /v1/map": Rule(Role.VIEWER, Queue.MODEL),
        "GET /v1/audiences/{audience_id}/map": Rule(Role.VIEWER),
        "GET /v1/users/{user_id}/features": Rule(Role.ANALYST),
        "POST /v1/users:similar": Rule(Role.ANALYST, Queue.MODEL),
        "POST /v1/users/{user_id}:embed": Rule(Role.ANALYST, Queue.MODEL),
        "DELETE /v1/users/{user_id}": Rule(Role.ADMIN),
        "POST /v1/admin/publish": Rule(Role.ADMIN),
        "POST /v1/admin/rollback": Rule(Role.ADMIN),
    }
)
"""By method and path; a path's converters (`:path`) are left out."""

UNKNOWN = Rule(Role.VIEWER)
"""For what no route answers: only who has a key is told so."""
_UNLISTED = Rule(Role.ADMIN)


def rule_of(route: str) -> Rule | None:
    """None where no key is asked for."""
    return None if route in OPEN else RULES.get(route, _UNLISTED)
