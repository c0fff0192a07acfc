"""What is worked out once for what a desk answers by, and kept until that changes."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, ref

from serving.alone import MODELS
from serving.desk import Desk
from serving.targeting import Targeting

T = TypeVar("T")


class Once(Generic[T]):
    """Thread-safe; whoever asks first makes it, the others wait."""

    def __init__(self, make: Callable[[Desk, Targeting], T]) -> None:
        self._make = make
        self._kept: WeakKeyDictionary[Desk, tuple[ref[Targeting], T]] = WeakKeyDictionary()
        self._turn = threading.Lock()

    def of(self, desk: Desk, targeting: Targeting) -> T:
        """For what the desk answers by."""
        with self._turn:
            kept = self._kept.get(desk)
            if kept is None or kept[0]() is not targeting:
                kept = self._kept[desk] = ref(targeting), self._made(desk, targeting)
            return kept[1]

    def _made(self, desk: Desk, targeting: Targeting) -> T:
        with MODELS.asking():
            return self._make(desk, targeting)
