"""Which opened publication answers while the alias moves: the old one, whole, until the new one is open.

The first publication is waited for. A later one is opened by a thread beside what answers, and answers from the moment
when it is open. So every answer is that of one publication, and none waits for a model to load.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from feature_repo.contracts.errors import FoundError
from serving.errors import PublicationUnreadable
from serving.rows import Publication
from serving.telemetry.metrics import RELOADS

PATIENCE_SECONDS = 5.0
"""A publication that could not be opened is tried again after so long."""
_log = logging.getLogger(__name__)


class Opened(Protocol):
    @property
    def publication(self) -> Publication: ...


T = TypeVar("T", bound=Opened)


@dataclass(frozen=True)
class _Failure:
    publication: Publication
    error: FoundError
    at: float


class Reloading(Generic[T]):
    """Thread-safe. `open` makes what answers of a publication, from what answers now or None."""

    def __init__(self, open: Callable[[Publication, T | None], T]) -> None:
        self._open = open
        self._turn, self._opening = threading.Lock(), threading.Lock()
        self._now: T | None = None
        self._next: T | None = None
        self._failed: _Failure | None = None
        self._begun: Publication | None = None

    @property
    def now(self) -> T | None:
        """What answered last, whatever the alias names; None before the first publication is open."""
        with self._turn:
            return self._now

    def of(self, published: Publication) -> T:
        """What answers while the alias names `published`. Raises why it cannot be opened, where it cannot."""
        with self._turn:
            if found := self._known(published):
                return found
            if self._now is not None:
                return self._meanwhile(published, self._now)
        return self.wait_for(published)

    def wait_for(self, published: Publication) -> T:
        """The publication, opened now if it is not open."""
        with self._opening:
            with self._turn:
                if found := self._known(published):
                    return found
                now = self._now
            opened = self._opened(published, now)
            with self._turn:
                self._now, self._next, self._failed = opened, None, None
            return opened

    def forget(self) -> None:
        """Opens everything anew from the next question on: what lies on disk has changed below what is open."""
        with self._opening, self._turn:
            self._now, self._next, self._failed = None, None, None

    def exchange(self, old: T, new: T) -> None:
        """The same publication answers from `new` on, where `old` answers, or will."""
        with self._opening, self._turn:
            if self._now is old:
                self._now = new
            if self._next is old:
                self._next = new

    def _known(self, published: Publication) -> T | None:
        """What is open of it; what was opened beside answers from now on."""
        if self._next is not None and self._next.publication == published:
            self._now, self._next = self._next, None
        return self._now if self._now is not None and self._now.publication == published else None

    def _meanwhile(self, published: Publication, now: T) -> T:
        """The publication that answers until the new one is open, which begins here if it has not begun."""
        failed = self._failed if self._failed and self._failed.publication == published else None
        waited = failed is None or time.monotonic() - failed.at > PATIENCE_SECONDS
        if self._begun is None and waited:
            self._begun = published
            threading.Thread(target=self._beside, args=(published, now), name="reload", daemon=True).start()
        if failed:
            raise failed.error.with_traceback(None)
        return now

    def _beside(self, published: Publication, now: T) -> None:
        try:
            with self._opening:
                opened = self._opened(published, now)
                with self._turn:
                    self._next, self._failed = opened, None
        except FoundError as error:
            with self._turn:
                self._failed = _Failure(published, error, time.monotonic())
        finally:
            with self._turn:
                self._begun = None

    def _opened(self, published: Publication, now: T | None) -> T:
        try:
            opened = self._open(published, now)
        except FoundError:
            RELOADS.labels("failed").inc()
            raise
        except Exception as error:
            RELOADS.labels("failed").inc()
            _log.exception("a publication cannot be opened")
            raise PublicationUnreadable(f"{published.collection} cannot be opened: {type(error).__name__}.") from error
        RELOADS.labels("opened").inc()
        told = {name: getattr(published, name) for name in ("collection", "ds", "model_version")}
        _log.info("a publication answers", extra={"found": told})
        return opened
