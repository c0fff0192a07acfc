"""What a run reports: a printed line, TensorBoard events, MLflow where asked, and the history that its record keeps."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.records import CARD, RECORD
from model.tracking import TrackedRun


class Journal:
    """The reports of one run, on its first rank. It goes on where a killed run stopped: nothing is told twice.

    Without a folder there are no events, without `tracked` nothing goes to MLflow.
    """

    def __init__(self, folder: Path | None = None, tracked: TrackedRun | None = None) -> None:
        self.folder, self.tracked = folder, tracked
        self.history: list[dict[str, float]] = []
        self.validation: list[dict[str, float]] = []
        self._seconds_before = self._pairs_before = self._pairs = 0.0
        self._first = self.done = 0
        self._started = time.monotonic()
        self._writer: Any = None

    def begin(self, step: int, notes: Mapping[str, Any]) -> None:
        """Starts the clock at a step with what `notes` said there. A run that starts anew replaces its old events.

        Raises FoundError where MLflow does not answer.
        """
        self.history, self.validation = list(notes.get("history", [])), list(notes.get("validation", []))
        self._seconds_before, self._pairs_before = notes.get("seconds", 0.0), notes.get("pairs", 0.0)
        self._first, self.done, self._pairs, self._started = step, step, 0.0, time.monotonic()
        if self.tracked is not None:
            self.tracked.begin(self.history, self.validation)
        if self.folder is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        if step == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._writer = SummaryWriter(str(self.folder), purge_step=step + 1)

    def count(self, users: float) -> None:
        """One step is done, with this many users on all ranks."""
        self._pairs += users
        self.done += 1

    def report(self, number: int, steps: int, values: Mapping[str, float], *, learning_rate: float) -> None:
        """The loss and the metrics of step `number`, the throughput and the time left."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate, left = self._pairs / elapsed, (steps - number - 1) * elapsed / (number + 1 - self._first)
        self.history.append({"step": number + 1, **values})
        self._events("train", number, {**values, "learning_rate": learning_rate, "pairs_per_second": rate})
        parts = " ".join(f"{name} {value:.4f}" for name, value in values.items() if name != "loss")
        print(f"step {number + 1}/{steps} {parts} | {rate:,.0f} pairs/s, {left:.0f} s left", flush=True)

    def validated(self, done: int, loss: float, *, lowest: float) -> None:
        """The loss of the held-out cut-off after `done` steps, and the lowest so far."""
        self.validation.append({"step": done, "loss": loss})
        self._events("validation", done - 1, {"loss": loss})
        print(f"step {done}: loss of the held-out cut-off {loss:.4f}, lowest {lowest:.4f}", flush=True)

    def notes(self) -> dict[str, Any]:
        """What `begin` needs to go on from here."""
        return {
            "history": self.history,
            "validation": self.validation,
            "seconds": self._seconds_before + time.monotonic() - self._started,
            "pairs": self._pairs_before + self._pairs,
        }

    def close(self) -> None:
        if self.tracked is not None:
            self.tracked.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def finish(self, model: Path) -> None:
        """The run is over, and left a model in this folder with its record and card."""
        if self.tracked is not None:
            self.tracked.finish(model.name, [model / RECORD, model / CARD])

    def _events(self, group: str, number: int, values: Mapping[str, float]) -> None:
        if self.tracked is not None:
            self.tracked.scalars(group, number + 1, values)
        for name, value in values.items() if self._writer is not None else ():
            self._writer.add_scalar(f"{group}/{name}", value, number + 1)
