"""What is reckoned beside what is waited for: a search waits for Milvus, a lookup for the online store."""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
A = TypeVar("A")

_THREADS = 16
_BESIDE = ThreadPoolExecutor(_THREADS, thread_name_prefix="beside")


def beside(function: Callable[P, A], *given: P.args, **named: P.kwargs) -> Future[A]:
    """Begins it in another thread, as part of the request under way. It must not wait for another such call."""
    here = contextvars.copy_context()
    return _BESIDE.submit(lambda: here.run(function, *given, **named))
