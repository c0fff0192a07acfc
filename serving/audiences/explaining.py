"""Why members of a stored audience are in it: the desk is asked again what it was asked when the audience was made.

Reasons are not stored: they name what users did. Only the publication that chose the members can give them.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from serving.audience import Audience, Reason
from serving.audiences.errors import AudienceOutdated
from serving.audiences.records import NEGATIVES, POSITIVES, GivenUser, StoredAudience, asked_again
from serving.audiences.seeds import UNKNOWN
from serving.audiences.store import AudienceStore
from serving.desk import Desk
from serving.question import MOST_EXPLAINED, question_of
from serving.targeting import Targeting

_QUESTION = ("demand", "sentences", "conditions", "filters", "exclude_users")


def ask(desk: Desk, kind: str, asked: Mapping[str, Any], by: Targeting) -> Audience:
    """The desk's own answer to the same body that the unstored routes take."""
    question = question_of(**{name: value for name, value in asked.items() if name in _QUESTION})
    rest = {name: value for name, value in asked.items() if name not in _QUESTION}
    if kind == "target":
        return desk.target(question, by=by, **rest)
    return desk.lookalike(question=question, by=by, **rest)


def reasons(
    desk: Desk, store: AudienceStore, audience: StoredAudience, *, limit: int
) -> list[tuple[str, tuple[Reason, ...]]]:
    """The first members that are exported, each with the reasons, the one that moved the score most first.

    Raises AudienceOutdated where another publication answers by now.
    """
    by = desk.ready()
    if (now := versions_of(by)) != audience.versions:
        raise AudienceOutdated(
            f"{audience.id} was chosen by {audience.collection} as of {audience.ds}, "
            f"{now['collection']} as of {now['ds']} answers."
        )
    asked = asked_again(audience.request, _known(store.given_users(audience.id)))
    first = {"size": min(audience.size, MOST_EXPLAINED), "explain": MOST_EXPLAINED}
    answer = ask(desk, audience.kind, asked | first, by)
    found = {user.user_id: user.reasons for user in answer.users}
    exported = (m.user_id for page in store.members(audience.id) for _, m in page if not m.holdout)
    return [(user, found[user]) for user in islice(exported, limit) if user in found]


def versions_of(by: Targeting) -> dict[str, Any]:
    """What answers now, as a stored audience names it."""
    return by.publication.versions


def _known(users: Sequence[GivenUser]) -> list[GivenUser]:
    """Those that the audience was made from."""
    return [user for user in users if user.side not in (POSITIVES, NEGATIVES) or user.note != UNKNOWN]
