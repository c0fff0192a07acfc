"""Who asks the models of this process, and who must be alone with torch.

To export a language model (model/quick_encoding.py) torch replaces the call of every module of the process while it
traces: a question of any tenant that asked a model meanwhile would be traced too, and fail.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Models:
    """Many ask at once, or one is alone; thread-safe. Who asks already may ask again within."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asking, self._is_alone = 0, False
        self._own = threading.local()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Waits while somebody is alone, or about to be."""
        depth = getattr(self._own, "depth", 0)
        if not depth:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_alone)
                self._asking += 1
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            if not depth:
                with self._changed:
                    self._asking -= 1
                    self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until nobody asks; who comes later waits until this ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._is_alone = True
            self._changed.wait_for(lambda: not self._asking)
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()


MODELS = Models()
