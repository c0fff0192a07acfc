"""What is to be said of seeds before they are used: a look at their vectors, against those of random users.

Likeness is the cosine of the text parts of two users' vectors, centred on random users, who are then alike by 0 on
average. Each finding is a warning: the audience is made from the seeds that are known, and the answer tells the
findings. Matrices hold one user per row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

FEW = 5
"""Fewer positives say little that the sentence does not."""
FEWEST_COMPARED = 6
"""Of fewer seeds nobody can say which ones stand apart."""
LEAST_COHERENCE = 0.75
"""The chance that a seed is nearer to the other seeds than a random user is: 0.5 where seeds have nothing in common,
and up to 0.75 by luck of six."""
UNLIKE_QUANTILE = 0.75
"""A seed is unlike the others if it is no nearer to them than this quantile of random users."""
FEWEST_IN_GROUP, LEAST_GROUP_SHARE = 3, 0.2
LEAST_GAP = 2.0
"""Two groups are nearer to themselves than to each other by this many standard deviations of random pairs' likeness.
Six random users, cut in two, reach 1.6."""
LEAST_SEPARATION = 0.7
"""The chance that a positive is nearer to the positives than a negative is; 0.5 where they cannot be told apart, and up
to 0.7 by luck of twenty a side."""
_ROUNDS = 20
_PAIRED = 300

UNKNOWN, UNLIKE = "unknown", "unlike the others"


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about the seeds; `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True)
class Diagnosis:
    """The findings, a note per seed that one is about, and the figures behind them."""

    findings: tuple[Finding, ...]
    notes: Mapping[str, str]
    figures: Mapping[str, float]

    def document(self) -> dict[str, Any]:
        """JSON values, without any user id."""
        told = [{"code": finding.code, "message": finding.message} for finding in self.findings]
        return {"findings": told, "figures": {name: round(value, 4) for name, value in self.figures.items()}}


def diagnosed(
    positives: Sequence[str], negatives: Sequence[str], stored: Mapping[str, NDArray[np.float32]], usual: Matrix
) -> Diagnosis:
    """`stored`: the vectors of those seeds that the index knows; `usual` those of random users."""
    unknown = [user for user in (*positives, *negatives) if user not in stored]
    liked = list(dict.fromkeys(user for user in positives if user in stored))
    disliked = list(dict.fromkeys(user for user in negatives if user in stored))
    findings = [_unknown(len(unknown), len(positives) + len(negatives))] if unknown else []
    if len(liked) < FEW:
        said = f"{len(liked)} known positive seeds: below {FEW} they say little more than the sentence does."
        findings.append(Finding("few_seeds", said))
    notes, figures = (
        dict.fromkeys(unknown, UNKNOWN),
        {"positives": float(len(liked)), "negatives": float(len(disliked))},
    )
    if len(liked) >= FEWEST_COMPARED and len(usual) >= FEWEST_COMPARED:
        centre = text_part(usual).mean(0)
        sides = [unit(text_part(np.stack([stored[u] for u in users])) - centre) for users in (liked, disliked) if users]
        compared = _Compared(sides[0], sides[1] if disliked else None, unit(text_part(usual) - centre))
        findings += compared.findings
        figures |= compared.figures
        notes |= {liked[at]: UNLIKE for at in compared.unlike}
    return Diagnosis(tuple(findings), notes, figures)


def _unknown(count: int, given: int) -> Finding:
    return Finding("unknown_users", f"{count} of {given} seeds are no users of the index; they are left out.")


class _Compared:
    """Seeds against random users: whether they are two groups, what they have in common, and who stands apart."""

    def __init__(self, positive: Matrix, negative: Matrix | None, usual: Matrix) -> None:
        self.findings: list[Finding] = []
        self.unlike: list[int] = []
        own, of_random = to_others(positive), usual @ positive.mean(0)
        coherence = above(own, of_random)
        self.figures = {"likeness": float(np.median(own)), "coherence": coherence}
        if groups := two_groups(positive, usual):
            said = (
                f"the positive seeds are two groups, of {groups[0]} and {groups[1]} users: make an audience for each."
            )
            self.findings.append(Finding("mixed_seeds", said))
        elif coherence < LEAST_COHERENCE:
            said = "the positive seeds resemble each other hardly more than random users do. Is it one kind of user?"
            self.findings.append(Finding("nothing_in_common", said))
        elif unlike := np.flatnonzero(own <= np.quantile(of_random, UNLIKE_QUANTILE)).tolist():
            self.unlike = unlike
            said = f"{len(unlike)} positive seeds resemble the others no more than random users do."
            self.findings.append(Finding("unlike_seeds", said))
        if negative is not None and len(negative) > 1:
            self._overlap(positive, negative)

    def _overlap(self, positive: Matrix, negative: Matrix) -> None:
        liked = to_others(positive) - positive @ negative.mean(0)
        disliked = negative @ positive.mean(0) - to_others(negative)
        separation = above(liked, disliked)
        self.figures["separation"] = separation
        if separation < LEAST_SEPARATION:
            said = f"positive and negative seeds can hardly be told apart ({separation:.2f}; 0.5 is chance)."
            self.findings.append(Finding("overlapping_seeds", said))


def above(ones: Matrix, others: Matrix) -> float:
    """The chance that one of `ones` is larger than one of `others`, ties counting half."""
    return float((ones[:, None] > others).mean() + (ones[:, None] == others).mean() / 2)


def text_part(vectors: NDArray[Any]) -> Matrix:
    """A user's vector without the propensity before it and the constant behind it."""
    return np.asarray(vectors, dtype=np.float64)[:, 1:-1]


def unit(vectors: Matrix) -> Matrix:
    """Rows of length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0))


def to_others(units: Matrix) -> Matrix:
    """Each row's mean cosine to all other rows."""
    own = (units * units).sum(1)
    return np.asarray((units @ units.sum(0) - own) / max(1, len(units) - 1))


def two_groups(units: Matrix, usual: Matrix) -> tuple[int, int] | None:
    """The sizes of two groups, the larger first, that LEAST_GAP keeps apart; None where the rows are no such groups."""
    if len(units) < 2 * FEWEST_IN_GROUP:
        return None
    second = _halves(units)
    sizes = int((~second).sum()), int(second.sum())
    if min(sizes) < max(FEWEST_IN_GROUP, LEAST_GROUP_SHARE * len(units)):
        return None
    shown = usual[:_PAIRED]
    spread = float((shown @ shown.T)[np.triu_indices(len(shown), 1)].std())
    between = float((units[second] @ units[~second].T).mean())
    within = min(float(to_others(units[side]).mean()) for side in (second, ~second))
    return (max(sizes), min(sizes)) if within - between >= LEAST_GAP * spread else None


def _halves(units: Matrix) -> NDArray[np.bool_]:
    """2-means of unit vectors by cosine, from the two that are least alike; True marks the second group."""
    cosines = units @ units.T
    one, other = np.unravel_index(int(cosines.argmin()), cosines.shape)
    centres = units[[one, other]]
    second = np.zeros(len(units), bool)
    for _ in range(_ROUNDS):
        near = units @ centres.T
        second = near[:, 1] > near[:, 0]
        if second.all() or not second.any():
            break
        centres = unit(np.stack([units[~second].mean(0), units[second].mean(0)]))
    return second
