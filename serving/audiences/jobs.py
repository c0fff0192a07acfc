"""One thread that does one piece of work after another: audiences in one, deliveries in another."""

import logging
import threading
import traceback
from collections.abc import Callable

_log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""How long work that another process queued may wait to be seen."""


class Runner:
    """Calls `step` until it says that nothing is left, then waits to be woken. Started by `start`, ended by `close`."""

    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        self._step = step
        self._work, self._stopped = threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopped(self) -> threading.Event:
        """Set when the runner is to end: long waits inside a step watch it."""
        return self._stopped

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begins nothing more; who waits for something waits no longer."""
        self._stopped.set()
        self.wake()

    def close(self, patience: float | None = None) -> bool:
        """Returns when the piece of work under way is done, or after so many seconds: True where it is done."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(patience)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """There is something new to do, or to see for those who wait."""
        self._work.set()
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Whether `done` became true in time, and before the runner was stopped; it is asked again after every step."""
        with self._changed:
            self._changed.wait_for(lambda: done() or self._stopped.is_set(), timeout=seconds)
        return done()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._work.clear()
            while not self._stopped.is_set() and self._one_step():
                with self._changed:
                    self._changed.notify_all()
            self._work.wait(POLL_SECONDS)

    def _one_step(self) -> bool:
        """A step that raises could not note its own failure: it is logged without its message, which may quote."""
        try:
            return self._step()
        except Exception as error:
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("%s failed with %s\n%s", self._thread.name, type(error).__name__, where)
            return False
