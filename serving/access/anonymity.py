"""What is kept from being seen of small groups, and of anybody by who may only read.

`minimum_audience` (k) is about the group that a question singles out. Filters, rules, exclusions and a lowest
probability that leave fewer than k users would tell what those few are and will do, so that such a question is refused
(serving/targeting.py). The best ten of a larger group are not a small group. What is stored, to be exported, has k.
"""

from collections.abc import Sequence
from dataclasses import replace

from serving.access.callers import Caller
from serving.access.errors import Forbidden
from serving.access.roles import Role
from serving.audience import Preview
from serving.audiences.answers import FailureMessage, StoredAudienceMessage

_HIDDEN = "only a key of role analyst is shown it."


def refuse_lists(caller: Caller, exclude_users: Sequence[str]) -> None:
    """A viewer who leaves out one known user, and looks at what changes, would learn of that user."""
    if exclude_users and caller.role < Role.ANALYST:
        raise Forbidden("a viewer may not name users to leave out.", role=Role.ANALYST.label)


def preview_for(caller: Caller, preview: Preview) -> Preview:
    """A viewer sees no users, and how many are eligible in steps of k alone."""
    if caller.role >= Role.ANALYST:
        return preview
    step = max(1, caller.tenant.settings.minimum_audience)
    return replace(preview, audience=replace(preview.audience, users=()), eligible=preview.eligible // step * step)


def stored_for(caller: Caller, message: StoredAudienceMessage) -> StoredAudienceMessage:
    """A viewer sees no seeds: not in the diagnostics, nor in what an error says of them."""
    if caller.role >= Role.ANALYST:
        return message
    diagnostics = message.diagnostics and message.diagnostics.model_copy(update={"users": []})
    error = message.error and FailureMessage(code=message.error.code, detail=_HIDDEN, hint=message.error.hint)
    return message.model_copy(update={"diagnostics": diagnostics, "error": error})


def overlap_for(caller: Caller, both: int, sizes: Sequence[int]) -> int | None:
    """How many users two audiences share; None where fewer than k are in both, or in one alone, though not nobody."""
    smallest = caller.tenant.settings.minimum_audience
    parts = (both, *(size - both for size in sizes))
    return None if any(0 < part < smallest for part in parts) else both
