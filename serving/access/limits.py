"""How much at once: a token bucket per key, and places for the requests that wait for the model."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.access.errors import RateLimited, ServerBusy
from serving.access.roles import Queue

RETRY_SECONDS = 1
"""A question takes a part of a second, so that a place is free again soon."""


class Rate:
    """At most `per_minute` requests a minute of each key, and `burst` at once; 0 a minute is no limit. Thread-safe."""

    def __init__(self, per_minute: int, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_minute / 60, max(1, burst), clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._turn = threading.Lock()

    def take(self, key: str) -> None:
        """Counts one request of the key. Raises RateLimited, with the seconds until the next one may come."""
        if not self._per_second:
            return
        with self._turn:
            now = self._clock()
            tokens, since = self._buckets.get(key, (float(self._burst), now))
            tokens = min(float(self._burst), tokens + (now - since) * self._per_second)
            self._buckets[key] = (tokens - 1 if tokens >= 1 else tokens), now
        if tokens < 1:
            raise RateLimited(
                f"this key may ask {self._per_second * 60:g} times a minute, {self._burst} times at once.",
                seconds=math.ceil((1 - tokens) / self._per_second),
            )


class Places:
    """So many requests may be under way; the next is refused at once. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self._turn = threading.Lock()

    @property
    def taken(self) -> int:
        return self._taken

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place until the block ends. Raises ServerBusy where there is none."""
        with self._turn:
            if self._taken >= self._most:
                raise ServerBusy(
                    f"{self._taken} requests like this are under way, no more may be.", seconds=RETRY_SECONDS
                )
            self._taken += 1
        try:
            yield
        finally:
            with self._turn:
                self._taken -= 1


def places_of(queue_size: int) -> dict[Queue, Places]:
    """One question is answered while `queue_size` wait; what needs no model is quick, and may be more at once."""
    most = {Queue.MODEL: 1 + queue_size, Queue.JOBS: 1 + queue_size, Queue.READS: 2 * (1 + queue_size)}
    return {queue: Places(number) for queue, number in most.items()}


def threads_for(queue_size: int) -> int:
    """So many threads that every request with a place has one, and a probe too."""
    return 4 * (1 + queue_size) + 8
