"""The members that no export holds: what they do is what the others would have done without a campaign."""

import hashlib
from collections.abc import Sequence


def drawn(users: Sequence[str], share: float, *, salt: str) -> frozenset[str]:
    """`share` of the users, rounded to whole ones, by a hash of salt and id: the same ones on every run.

    With an audience's id as the salt, being held out of one audience says nothing about another.
    """
    in_order = sorted(users, key=lambda user: (hashlib.sha256(f"{salt}\0{user}".encode()).digest(), user))
    return frozenset(in_order[: round(share * len(in_order))])
