"""Hastens what answers, beside the questions: fills memory with its rows, so that these need no reading."""

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from serving.alone import MODELS
from serving.held import Held, all_rows
from serving.targeting import Targeting

_log = logging.getLogger(__name__)


class Filling:
    """One publication at a time; a newer one ends the filling of an older. `exchange` puts what answers from memory in
    the place of what did not, where that still answers."""

    def __init__(self, exchange: Callable[[Targeting, Targeting], None], *, megabytes: int) -> None:
        self._exchange, self._megabytes = exchange, megabytes
        self._stop, self._thread = threading.Event(), threading.Thread()

    def begin(self, targeting: Targeting) -> None:
        self._stop.set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(targeting, self._stop), name="filling", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Returns when nothing is read any more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        gc.unfreeze()

    def _fill(self, targeting: Targeting, stop: threading.Event) -> None:
        publication = targeting.publication
        try:
            with MODELS.alone():
                targeting.model.hasten()
            read = all_rows(targeting.index, publication, megabytes=self._megabytes, stop=stop)
            if read is None:
                return
            users, facts = read
            with MODELS.asking():
                known = targeting.model.known(targeting.vectors, users.histories.key_V)
                full = replace(targeting, rows=Held(users, facts, known.hold(), targeting.rows))
                full.warm()
        except Exception:
            told = {"collection": publication.collection}
            _log.warning("memory was not filled: the index answers", exc_info=True, extra={"found": told})
            return
        if not stop.is_set():
            self._exchange(targeting, full)
            _freeze()


def _freeze() -> None:
    """What answers is there to stay: a collection of garbage that looked at all of it would stop a question for as long
    as several take."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
