"""What Redis keeps on disk, written anew: until then its append-only file and its dump name a deleted key."""

import time
from typing import Any

from serving.errors import FeaturesMissing

NO_FILES = "Redis keeps no files"
_POLL_SECONDS = 0.2
_MOST_SECONDS = 600.0
_UNDER_WAY = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")


def write_anew(client: Any) -> str:
    """What was written, once it is: files that the server does not keep are not begun.

    Raises FeaturesMissing where the server fails to write them, the client's ResponseError where it may not be asked.
    """
    dumps = bool(client.config_get("save").get("save"))
    written = []
    if _idle(client)["aof_enabled"]:
        client.bgrewriteaof()
        _refuse_failed(_idle(client), "aof_last_bgrewrite_status")
        written.append("append-only file")
    if dumps:
        client.bgsave()
        _refuse_failed(_idle(client), "rdb_last_bgsave_status")
        written.append("dump")
    return f"{' and '.join(written)} written anew" if written else NO_FILES


def _idle(client: Any) -> dict[str, Any]:
    """The state of the server's files when it writes none: it writes one at a time."""
    until = time.monotonic() + _MOST_SECONDS
    while True:
        state: dict[str, Any] = client.info("persistence")
        if not any(state[name] for name in _UNDER_WAY):
            return state
        if time.monotonic() > until:
            raise FeaturesMissing(f"Redis has not written its files within {_MOST_SECONDS:.0f} seconds.")
        time.sleep(_POLL_SECONDS)


def _refuse_failed(state: dict[str, Any], name: str) -> None:
    if state[name] != "ok":
        raise FeaturesMissing(f"Redis could not write its files: {name} is {state[name]!r}; see its log, erase again.")
