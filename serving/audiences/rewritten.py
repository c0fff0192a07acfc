"""What counts, by the offline rewriter of the work directory. It needs the training pairs, and reads them once."""

import threading
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving.alone import MODELS
from serving.audiences.counting import REWRITTEN, Clause, Counting, Need, unknown

if TYPE_CHECKING:
    from model.rewriting.document import Behaviour, Rewritten
    from model.rewriting.offline import OfflineRewriter

Opener = Callable[..., "OfflineRewriter"]


class RewrittenMeaning:
    """Thread-safe. The rewriter is opened when the first demand needs it, and again for another day."""

    def __init__(self, settings: Settings, *, open_rewriter: Opener | None = None) -> None:
        self._settings, self._open = settings, open_rewriter
        self._turn = threading.Lock()
        self._rewriter: OfflineRewriter | None = None

    def of(self, demand: str, ds: str) -> Counting:
        """What counts for a demand asked as of `ds`; unknown, with the reason, where the demand cannot be read."""
        with MODELS.asking(), self._turn:
            try:
                rewriter = self._opened(date.fromisoformat(ds))
            except FoundError as error:
                return unknown(f"the demand cannot be read: {error}")
            return counted(rewriter, rewriter.rewrite(demand))

    def _opened(self, day: date) -> "OfflineRewriter":
        if self._rewriter is None or self._rewriter.day != day:
            # Imported late: it brings torch and the encoder, which a server without stored audiences needs not twice.
            from model.rewriting.opening import open_rewriter

            self._rewriter = (self._open or open_rewriter)(self._settings, day=day)
        return self._rewriter


def counted(rewriter: "OfflineRewriter", rewritten: "Rewritten") -> Counting:
    """The future conditions of a rewritten demand with their texts."""
    from model.rewriting.document import FUTURE, Behaviour
    from model.rewriting.show import told

    groups: list[tuple[Clause, ...]] = []
    for group in rewritten.groups:
        future = [c for c in group if isinstance(c, Behaviour) and c.tense == FUTURE]
        clauses = tuple(Clause(told(condition), tuple(_needs(rewriter, condition))) for condition in future)
        if missing := [clause.said for clause in clauses if not clause.needs]:
            return unknown(f"no text of the lake says who {missing[0]}")
        groups += [clauses] if clauses else []
    if not groups:
        return unknown(rewritten.reason or "the demand says nothing that users will do")
    return Counting(REWRITTEN, tuple(groups), rewritten.reason)


def _needs(rewriter: "OfflineRewriter", condition: "Behaviour") -> list[Need]:
    from model.rewriting.offline import rendered

    needs = [Need((s.text,), s.negated) for s in rendered(condition, 0, rewriter.lake.words.currency)]
    if condition.topic:
        near = rewriter.retrieval.all_near(_vector(rewriter, condition.topic), condition.source)
        needs += [Need(tuple(text for text, _ in near.texts), condition.negated)] if near.texts else []
    return needs


def _vector(rewriter: "OfflineRewriter", topic: str) -> Any:
    return np.asarray(rewriter.encode([topic]))[0]
