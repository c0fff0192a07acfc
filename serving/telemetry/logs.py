"""The server's log: a line per request and per event, as text or as JSON.

A line names a route by its template and an error by its type and place: paths hold user ids, and the messages of errors
quote what was asked.
"""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from feature_repo.contracts.errors import FoundError

FORMATS = ("text", "json")
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that this thread or task works for."""
_QUOTING = ("pymilvus", "milvus_lite", "feast")
"""Libraries whose messages quote expressions or keys; what they raise is reported by ours."""


class TextLines(logging.Formatter):
    """`2026-01-01T00:00:00+00:00 INFO serving.requests: GET /healthz 200 ...`"""

    def format(self, record: logging.LogRecord) -> str:
        known = _known(record)
        figures = "".join(f" {name}={value}" for name, value in known.items() if name not in _HEAD)
        where = f"\n{known['traceback']}" if "traceback" in known else ""
        return f"{known['time']} {known['level']} {known['logger']}: {known['message']}{figures}{where}"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_known(record), ensure_ascii=False, default=str)


_HEAD = ("time", "level", "logger", "message", "traceback")


def _known(record: logging.LogRecord) -> dict[str, Any]:
    known: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    if request := REQUEST_ID.get():
        known["request_id"] = request
    known |= getattr(record, "found", {})
    if record.exc_info and record.exc_info[0]:
        known["error"] = record.exc_info[0].__name__
        known["traceback"] = "".join(traceback.format_tb(record.exc_info[2]))
    return known


def log_config(log_format: str) -> dict[str, Any]:
    """What logging.config.dictConfig takes. Raises FoundError for a format that does not exist."""
    if log_format not in FORMATS:
        raise FoundError(f"log_format must be one of {', '.join(FORMATS)}, found {log_format!r}.")
    lines = {"text": "TextLines", "json": "JsonLines"}[log_format]
    levels = {"serving": "INFO", "uvicorn": "INFO", **dict.fromkeys(_QUOTING, "CRITICAL")}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.{lines}"}},
        "handlers": {"standard_error": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"level": "WARNING", "handlers": ["standard_error"]},
        "loggers": {name: {"level": level} for name, level in levels.items()},
    }
