"""Who may be in an audience: the filters of the question and of the settings, and who is left out.

The settings' filters (consent, say) and the suppression list apply to every question; no question can lift them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.user_lists import read_user_list
from serving.comparisons import Clause, expression_of
from serving.errors import Misconfigured, ServingError
from serving.expressions import Expression, all_of, not_among
from serving.filters import Condition, Filter, Filters
from serving.history import AnyRule, Having, condition_of


@dataclass(frozen=True)
class Limits:
    """What every user of an audience meets: one comparison of each of `facts`, one of each of `texts`, to be none of
    `without`, and rules that are checked on events."""

    facts: tuple[Clause, ...] = ()
    texts: tuple[tuple[Having, ...], ...] = ()
    without: tuple[str, ...] = ()
    rules: tuple[AnyRule, ...] = ()

    @property
    def condition(self) -> Expression:
        """All but the rules, as the index checks it."""
        return all_of([expression_of(self.facts), *map(condition_of, self.texts), not_among(self.without)])


class SuppressionList:
    """A file with one user id a line, read again when it changes; without a file nobody is suppressed."""

    def __init__(self, file: str) -> None:
        self._file = Path(file) if file else None
        self._read: tuple[int, tuple[str, ...]] = (0, ())

    def users(self) -> tuple[str, ...]:
        """Raises Misconfigured where the file is gone: to suppress nobody then would be the worst of answers."""
        if self._file is None:
            return ()
        try:
            changed = self._file.stat().st_mtime_ns
            if changed != self._read[0]:
                self._read = changed, read_user_list(self._file)
        except (OSError, FoundError) as error:
            raise Misconfigured(f"suppressed_users names {self._file}, which cannot be read: {error}.") from error
        return self._read[1]


@dataclass(frozen=True)
class Eligibility:
    """The columns that can be filtered by, and what the settings say of everybody."""

    filters: Filters
    default: tuple[Filter, ...]
    suppressed: SuppressionList

    def limits(
        self, filters: Sequence[Condition] = (), rules: Sequence[AnyRule] = (), *, without: Sequence[str] = ()
    ) -> Limits:
        """Raises a ServingError naming the filter that cannot be applied."""
        try:
            always = self.filters.compiled(self.default)
        except ServingError as error:
            raise Misconfigured(f"default_filters cannot be applied: {error.detail}") from error
        return Limits(
            facts=(*always, *self.filters.compiled(filters)),
            texts=tuple(having for rule in rules if (having := rule.having())),
            without=tuple(dict.fromkeys([*self.suppressed.users(), *without])),
            rules=tuple(rule for rule in rules if not rule.is_simple),
        )
