"""Prometheus metrics of this process. Labels are route templates, statuses and versions: never paths or ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

REGISTRY = CollectorRegistry()
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

ProcessCollector(registry=REGISTRY)
STAGE_SECONDS = Histogram(
    "found_stage_seconds", "Time in a stage of answering.", ["stage"], buckets=SECONDS, registry=REGISTRY
)
REQUEST_SECONDS = Histogram(
    "found_request_seconds", "Time from a request to its answer's end.", ["route"], buckets=SECONDS, registry=REGISTRY
)
REQUESTS = Counter("found_requests", "Answered requests.", ["method", "route", "status"], registry=REGISTRY)
UNDER_WAY = Gauge("found_requests_under_way", "Requests that are not answered yet.", registry=REGISTRY)
WAITING = Gauge("found_questions_waiting", "Questions that wait for the model.", registry=REGISTRY)
RELOADS = Counter("found_reloads", "Publications that were opened, or could not be.", ["outcome"], registry=REGISTRY)
