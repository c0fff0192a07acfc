"""Means over scenarios and seeds, and paired differences of methods, from stored results alone.

An interval covers two things: which users happened to be candidates (the replicates, shared by all methods), and which
seeds happened to be drawn (a bootstrap over the seeds' means, widened for their small number as Student's t is; with
one seed this part is missing, so nothing is said to hold over seeds). It does not cover which demands were asked: a
result holds for these scenarios. Scenarios, and pairs of them for specificity, are resampled apart: where the same
users with the same labels decide several, as on the generated lake (three sentences of each of 19 intents), intervals
of means are too narrow, most of all for specificity.
Shape suffixes: R replicates, S seeds, C scenarios.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from feature_repo.contracts.errors import FoundError
from model.evaluation.bootstrap import UNDEFINED, Measured, generator, interval
from model.evaluation.measures import mean_over
from model.evaluation.results import Result


@dataclass(frozen=True)
class Summary:
    """The mean over seeds, their standard deviation (None with one seed), and the replicates of the mean."""

    value: float
    sd: float | None
    replicate_R: "np.ndarray"
    seeds: int

    @property
    def interval(self) -> tuple[float, float]:
        return interval(self.replicate_R)


@dataclass(frozen=True)
class Difference:
    """One method less the other, with its 95 % interval."""

    value: float
    low: float
    high: float
    seeds: int
    """Of the method that has fewer."""

    @property
    def holds(self) -> bool:
        """The interval excludes zero."""
        return self.low > 0 or self.high < 0

    @property
    def holds_over_seeds(self) -> bool:
        """And it is not that of a single training: seeds differ by more than one seed's interval knows."""
        return self.holds and self.seeds > 1

    @property
    def sign(self) -> int:
        """1 or -1 where it holds, else 0."""
        return (self.low > 0) - (self.high < 0)


def summarise(
    results: Sequence[Result], measure: str, scenario: str | None = None, *, over_seeds: bool = True
) -> Summary | None:
    """One method on one lake, over its seeds: a measure in one scenario or, without one, the mean over all in which it
    is defined (of specificity and its like: the measure itself). None where it is defined nowhere. Without `over_seeds`
    the interval covers chance over users alone."""
    found = [one for result in results if (one := _of_seed(result, measure, scenario)).value is not None]
    if not found:
        return None
    value_S = np.array([one.value for one in found])
    replicate_R = np.mean([one.replicate_R for one in found], axis=0)
    name = f"{results[0].what.lake} {results[0].what.method} {measure}"
    sd = float(value_S.std(ddof=1)) if len(found) > 1 else None
    luck_R = _luck_R(value_S if over_seeds else value_S[:1], name, len(replicate_R))
    return Summary(float(value_S.mean()), sd, replicate_R + luck_R, len(found))


def size_factor(results: Sequence[Result]) -> float | None:
    """By what factor, 1 or more, the predicted size of the audience and the realised one differ in the median scenario,
    seeds taken one by one; None for a method without probabilities."""
    ratios = [
        ratio
        for result in results
        for found in result.scenarios.values()
        if (ratio := found.measures.get("size_ratio", UNDEFINED).value) is not None
    ]
    return float(np.median([max(ratio, 1 / ratio) if ratio else np.inf for ratio in ratios])) if ratios else None


def difference(
    one: Sequence[Result],
    other: Sequence[Result],
    measure: str,
    scenario: str | None = None,
    *,
    over_seeds: bool = True,
) -> Difference | None:
    """`one` less `other` on the same users, over the scenarios in which both have the measure; None where there is
    none. Raises FoundError, naming the scenario, where the two were not measured on the same labelled users."""
    _refuse_other_users(one, other)
    in_one, in_other = _defined(one, measure), _defined(other, measure)
    if scenario is None and in_one != in_other:
        one, other = _only(one, in_one & in_other), _only(other, in_one & in_other)
    a, b = (summarise(each, measure, scenario, over_seeds=over_seeds) for each in (one, other))
    if a is None or b is None:
        return None
    if len(a.replicate_R) != len(b.replicate_R):
        raise FoundError(
            f"replicates of {one[0].what} and of {other[0].what} cannot be paired: "
            f"{len(a.replicate_R)} against {len(b.replicate_R)}. Compute one of them again."
        )
    return Difference(a.value - b.value, *interval(a.replicate_R - b.replicate_R), min(a.seeds, b.seeds))


def same_seeds(one: Sequence[Result], other: Sequence[Result]) -> tuple[list[Result], list[Result]]:
    """The results of either for the seeds that both have."""
    seeds = {result.what.seed for result in one} & {result.what.seed for result in other}
    first, second = ([result for result in results if result.what.seed in seeds] for results in (one, other))
    return first, second


def _of_seed(result: Result, measure: str, scenario: str | None) -> Measured:
    if scenario is not None:
        found = result.scenarios.get(scenario)
        return found.measures.get(measure, UNDEFINED) if found else UNDEFINED
    return result.overall.get(measure, UNDEFINED)


def _defined(results: Sequence[Result], measure: str) -> set[str]:
    """The scenarios in which every seed has the measure."""
    of_seeds = [
        {name for name, found in result.scenarios.items() if found.measures.get(measure, UNDEFINED).value is not None}
        for result in results
    ]
    return set.intersection(*of_seeds) if of_seeds else set()


def _only(results: Sequence[Result], names: set[str]) -> list[Result]:
    kept = [{name: result.scenarios[name] for name in names} for result in results]
    return [replace(r, scenarios=part, overall=mean_over(part)) for r, part in zip(results, kept, strict=True)]


def _luck_R(value_S: "np.ndarray", name: str, replicates: int) -> "np.ndarray":
    """How far the mean of as many seeds, drawn again, lies from theirs; the factor makes its variance unbiased, and its
    95 % interval as wide as Student's t with so few seeds."""
    if len(value_S) < 2:
        return np.zeros(replicates)
    drawn_RS = generator(name).integers(0, len(value_S), (replicates, len(value_S)))
    freedom = len(value_S) - 1
    factor = np.sqrt(len(value_S) / freedom) * stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    return (value_S - value_S.mean())[drawn_RS].mean(axis=1) * factor


def _refuse_other_users(one: Sequence[Result], other: Sequence[Result]) -> None:
    known: dict[str, tuple[str, str]] = {}
    for result in (*one, *other):
        for name, found in result.scenarios.items():
            digest, first = known.setdefault(name, (found.candidates, str(result.what)))
            if digest != found.candidates:
                raise FoundError(
                    f"scenario {name!r} of {result.what} has other labelled users than that of {first}: "
                    "their difference means nothing. Compute the older one again."
                )


def by_method(results: Sequence[Result]) -> Mapping[tuple[str, str], list[Result]]:
    """{(lake, method): its results, by seed}; without those that are absent."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(results, key=lambda r: r.what.seed):
        if not result.absent:
            found.setdefault((result.what.lake, result.what.method), []).append(result)
    return found
