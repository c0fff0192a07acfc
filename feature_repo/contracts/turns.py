"""Runs that take turns: of those that name one file, one at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Waits until nobody else has the turn of this file, which is made where it is missing and stays; a process that
    ends, however it ends, gives its turn away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
