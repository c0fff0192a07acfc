"""MLflow beside TensorBoard, where the setting `mlflow_uri` names a tracking store.

It is reached before the first step, or training does not start. A store that stops answering later costs no step: what
it missed is sent once it answers again, at the latest when the run is over.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feature_repo.contracts.errors import FoundError

INSTALL = "pip install --no-deps mlflow-skinny==3.17.2 databricks-sdk==0.162.0"
"""All that the environment of the lock file lacks for it."""
EXPERIMENT = "found"
IDENTITY = "found.run"
REST_SECONDS = 60
"""A store that did not answer is left alone for so long."""
MOST_METRICS, MOST_PARAMS = 1000, 100
"""What MLflow takes in one call."""
ENVIRONMENT = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # who names a folder wants one, though MLflow advises a database
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Defaults for MLflow; what the environment says itself stays. By its own ones a dead server blocks for minutes."""

Rows = Sequence[Mapping[str, float]]


class Store:
    """A tracking store: a file: or sqlite: URI, or a server. Raises FoundError where it cannot be used."""

    def __init__(self, uri: str) -> None:
        self.name = _safe(uri)
        for variable, value in ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise FoundError(
                f"mlflow_uri is {self.name}, but MLflow cannot be imported ({error}): `{INSTALL}`, or leave mlflow_uri "
                "empty; TensorBoard events are written all the same."
            ) from error
        with self.reached():
            self.client: Any = MlflowClient(uri)
            known = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment: str = (
                known.experiment_id if known else self.client.create_experiment(EXPERIMENT, _artifacts(uri))
            )

    def run(self, name: str, identity: Mapping[str, Any]) -> "TrackedRun":
        return TrackedRun(self, name, identity)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Turns whatever goes wrong into one FoundError."""
        try:
            yield
        except Exception as error:  # each kind of store has errors of its own
            raise FoundError(
                f"the MLflow store {self.name} cannot be used: {reason(error)}. Repair it, name another by mlflow_uri, "
                "or leave that empty."
            ) from error


class TrackedRun:
    """One run in a store, found again by its name in a tag: the newest of that name that is not finished, or a new one.

    Nothing is told twice: a step that the store holds already is not sent again.
    """

    def __init__(self, store: Store, name: str, identity: Mapping[str, Any]) -> None:
        self.store, self.name, self.identity = store, name, identity
        self.run_id = ""
        self._told = {"train": 0, "validation": 0}
        self._unsent: list[Any] = []
        self._resting_until = 0.0

    def begin(self, history: Rows, validation: Rows) -> None:
        """Opens the run and tells it what it lacks of these rows. Raises FoundError where the store does not answer."""
        client = self.store.client
        with self.store.reached():
            self.run_id = self._unfinished() or self._created()
            client.update_run(self.run_id, status="RUNNING")
            self._send_params()
            for group in self._told:
                known = client.get_metric_history(self.run_id, f"{group}/loss")
                self._told[group] = max((metric.step for metric in known), default=0)
        for group, rows in (("train", history), ("validation", validation)):
            for row in rows:
                self.scalars(group, int(row["step"]), {name: row[name] for name in row if name != "step"})

    def scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Tells the values after `step` steps, now or as soon as the store answers."""
        from mlflow.entities import Metric

        if step <= self._told[group]:
            return
        self._told[group], now = step, int(time.time() * 1000)
        self._unsent += [Metric(f"{group}/{name}", value, now, step) for name, value in values.items()]
        if time.monotonic() >= self._resting_until:
            self._attempt(self._send_metrics, "Training goes on; {untold} values wait for it")

    def close(self) -> None:
        """Marks the run as failed, until `finish` says otherwise."""
        if self.run_id and time.monotonic() >= self._resting_until:
            self._attempt(lambda: self.store.client.set_terminated(self.run_id, "FAILED"), "Its run stays open")

    def finish(self, version: str, files: Sequence[Path]) -> None:
        """Tells what is still untold, the model's version, and these files."""
        self._attempt(lambda: self._finish(version, files), "The model is there; its run lacks {untold} values or more")

    def _finish(self, version: str, files: Sequence[Path]) -> None:
        client = self.store.client
        self._send_metrics()
        client.set_tag(self.run_id, "found.version", version)
        for file in files:
            client.log_artifact(self.run_id, str(file))
        client.set_terminated(self.run_id, "FINISHED")

    def _unfinished(self) -> str:
        found = self.store.client.search_runs(
            [self.store.experiment],
            filter_string=f"tags.`{IDENTITY}` = '{self.name}' and attributes.status != 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return str(found[0].info.run_id) if found else ""

    def _created(self) -> str:
        tags = {f"found.{key}": str(value) for key, value in self.identity.items() if key != "recipe"}
        run = self.store.client.create_run(
            self.store.experiment, tags={IDENTITY: self.name, **tags}, run_name=self.name
        )
        return str(run.info.run_id)

    def _send_params(self) -> None:
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in flat(self.identity["recipe"]).items()]
        for start in range(0, len(params), MOST_PARAMS):
            self.store.client.log_batch(self.run_id, params=params[start : start + MOST_PARAMS])

    def _send_metrics(self) -> None:
        while self._unsent:
            self.store.client.log_batch(self.run_id, metrics=self._unsent[:MOST_METRICS])
            del self._unsent[:MOST_METRICS]

    def _attempt(self, send: Callable[[], None], otherwise: str) -> None:
        """Sends, or says that the store did not answer and what follows from that."""
        try:
            send()
        except Exception as error:  # whatever a store says, training goes on
            self._resting_until = time.monotonic() + REST_SECONDS
            follows = otherwise.format(untold=len(self._unsent))
            print(f"the MLflow store {self.store.name} took nothing: {reason(error)}. {follows}.", flush=True)


def _artifacts(uri: str) -> str | None:
    """Beside a SQLite file, not in the folder that training happens to run in; else where the store wants them."""
    file = uri.removeprefix("sqlite:///")
    return None if file == uri else (Path(file).absolute().parent / "mlartifacts").as_uri()


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"stage1": {"steps": 4}} as {"stage1.steps": 4}."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def reason(error: Exception) -> str:
    """The first line of what went wrong, without credentials."""
    return _safe(str(error).strip().split("\n")[0].rstrip(".")) or type(error).__name__


def _safe(text: str) -> str:
    return re.sub(r"//[^/\s@]*@", "//", text)
