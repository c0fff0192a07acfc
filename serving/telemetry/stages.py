"""One timer of the stages of an answer, for the metrics and for the spans."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from serving.telemetry import metrics, tracing

Stage = Literal["open", "wait", "read", "encode", "calibrate", "search", "rerank", "features", "reasons", "size"]
"""A publication is opened (model, texts); a question waits for its turn, is read, encoded, calibrated, ranked again,
told its size and explained. `search` is beside `calibrate`; `features` is time in the online store, also within others.
"""


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Times a block, or as a decorator every call of a function."""
    started = time.perf_counter()
    with tracing.span(name):
        try:
            yield
        finally:
            metrics.STAGE_SECONDS.labels(name).observe(time.perf_counter() - started)
