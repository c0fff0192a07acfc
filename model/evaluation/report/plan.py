"""What a report shows: which methods in which groups, against which twins, compared with which figures of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass

from feature_repo.contracts.errors import FoundError
from model.evaluation.comparison import by_method, difference, summarise
from model.evaluation.measures import MAIN
from model.evaluation.results import Result

CHANCE = 0.5
MOST_DRAWN = 6
"""Past six colours nobody can tell lines apart."""


@dataclass(frozen=True)
class Method:
    """A row. Methods of one group see the same of a scenario, so their order means something.

    A method with a `twin` (the method with random weights) counts only above chance and above that twin.
    """

    name: str
    title: str
    group: str
    twin: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A margin of the paper beside ours: `one` less `other`."""

    title: str
    one: str
    other: str
    measures: tuple[str, ...]
    paper: str = ""


@dataclass(frozen=True)
class Study:
    """Changes to our own method, in a table of their own: each less each of `against`."""

    title: str
    note: str
    methods: tuple[Method, ...]
    against: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """`ours` is the method whose place is told in words; `drawn` are those in the figures. The methods of `studies` are
    in no other table, but comparisons may name them."""

    title: str
    preface: tuple[str, ...]
    lakes: tuple[str, ...]
    methods: tuple[Method, ...]
    ours: str
    drawn: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()
    remarks: tuple[str, ...] = ()
    studies: tuple[Study, ...] = ()

    def __post_init__(self) -> None:
        known = [method.name for method in (*self.methods, *(m for study in self.studies for m in study.methods))]
        named = {self.ours, *self.drawn, *(name for c in self.comparisons for name in (c.one, c.other))}
        named |= {name for study in self.studies for name in study.against}
        if strange := sorted(named - set(known)):
            raise FoundError(f"the report's plan names {strange}, which are no methods of it: it has {known}.")
        if len(self.drawn) > MOST_DRAWN:
            raise FoundError(f"figures show at most {MOST_DRAWN} methods, the plan draws {len(self.drawn)}.")

    @property
    def groups(self) -> dict[str, list[Method]]:
        """In the order of the plan."""
        found: dict[str, list[Method]] = {}
        for method in self.methods:
            found.setdefault(method.group, []).append(method)
        return found

    def method(self, name: str) -> Method:
        return next(method for method in self.methods if method.name == name)

    def title_of(self, name: str) -> str:
        return self.method(name).title


class Book:
    """A plan and the results it is filled with."""

    def __init__(self, plan: Plan, results: Sequence[Result]) -> None:
        self.plan = plan
        self._found = by_method(results)
        self._absent = {(r.what.lake, r.what.method): r.absent for r in results if r.absent}

    def of(self, lake: str, method: str) -> list[Result]:
        """The results of all seeds; empty where there are none."""
        return self._found.get((lake, method), [])

    def knows(self, lake: str, method: str) -> bool:
        """Is there a result, or a reason why there is none?"""
        return (lake, method) in self._found or (lake, method) in self._absent

    def absence(self, lake: str, method: str) -> str:
        """Why a method has no result on a lake."""
        return f"absent: {reason}" if (reason := self._absent.get((lake, method))) else "not computed yet"

    def doubt(self, lake: str, method: Method) -> str:
        """Why a learned method does not count on a lake as a baseline that was reproduced; empty where it does. Its
        seeds are taken as they are: a rival has the benefit of the doubt."""
        found = summarise(self.of(lake, method.name), MAIN, over_seeds=False) if method.twin else None
        if found is None or not method.twin:
            return ""
        if found.interval[0] <= CHANCE:
            return "not above chance"
        against = difference(self.of(lake, method.name), self.of(lake, method.twin), MAIN, over_seeds=False)
        if against is None:
            return "its random-weight twin was not measured"
        return "" if against.low > 0 else "not above its random-weight twin"

    def standing(self, lake: str, group: Sequence[Method]) -> list[tuple[float, Method]]:
        """Those of a group that count on a lake, the best first."""
        found = [
            (summary.value, method)
            for method in group
            if (summary := summarise(self.of(lake, method.name), MAIN)) and not self.doubt(lake, method)
        ]
        return sorted(found, key=lambda pair: -pair[0])
