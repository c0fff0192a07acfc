"""What is true of a server at the moment it is asked: readiness, versions, the index's age, audiences by status."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from serving.errors import ServingError
from serving.rows import Publication
from serving.telemetry.metrics import REGISTRY

__all__ = ["CONTENT_TYPE", "ServerState", "exposed"]


class ServerState(Collector):
    """Collected when Prometheus asks. `ready` gives what answers now, or raises why nothing does."""

    def __init__(self, ready: Callable[[], Publication], audiences: Callable[[], Mapping[str, int]]) -> None:
        self._ready, self._audiences = ready, audiences

    def collect(self) -> Iterator[Metric]:
        publication, reason = self._answering()
        yield GaugeMetricFamily("found_ready", "1 while model, index and templates agree.", float(not reason))
        unready = GaugeMetricFamily("found_unready", "Why nothing is answered: the code of /readyz.", labels=["code"])
        if reason:
            unready.add_metric([reason], 1)
        yield unready
        if publication:
            age = (datetime.now(UTC).date() - date.fromisoformat(publication.ds)).days
            yield GaugeMetricFamily("found_index_age_days", "Days since the day that the index stands for.", age)
            yield InfoMetricFamily("found_answering", "What answers.", _versions(publication))
        stored = GaugeMetricFamily("found_audiences", "Stored audiences.", labels=["status"])
        for status, count in self._audiences().items():
            stored.add_metric([status], count)
        yield stored

    def _answering(self) -> tuple[Publication | None, str]:
        try:
            return self._ready(), ""
        except ServingError as error:
            return None, error.code


def exposed(state: ServerState) -> bytes:
    """The metrics of this process and of one server, in Prometheus' text format."""
    own = CollectorRegistry()
    own.register(state)
    return generate_latest(REGISTRY) + generate_latest(own)


def _versions(publication: Publication) -> dict[str, str]:
    return {
        "found_version": version("found"),
        "model_version": publication.model_version,
        "collection": publication.collection,
        "ds": publication.ds,
        "template_version": str(publication.template_version),
    }
