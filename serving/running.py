"""The server that runs on a work directory: how it says so, and how other processes of the machine reach it.

`WORKDIR/server.json` holds its address while it runs. A file left by a killed server is recognised, because
nobody at that address answers with its instance id.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from serving.errors import ServerRefused

_PROBE_SECONDS = 3
_ANSWER_SECONDS = 3600
"""A first publication of millions of users takes its time."""


def announce(work: Workdir, *, url: str, instance: str) -> None:
    beside = work.root / ".server.json.new"
    beside.write_text(json.dumps({"url": url, "instance": instance}))
    beside.replace(work.root / "server.json")


def withdraw(work: Workdir, instance: str) -> None:
    """Removes the announcement of this instance, and no other's."""
    if _announced(work).get("instance") == instance:
        (work.root / "server.json").unlink(missing_ok=True)


def server_of(work: Workdir) -> str | None:
    """The address of the server that runs on this work directory, if one does."""
    announced = _announced(work)
    if not announced:
        return None
    try:
        with urllib.request.urlopen(f"{announced['url']}/healthz", timeout=_PROBE_SECONDS) as answer:
            alive = json.load(answer)
    except (OSError, ValueError, HTTPException):
        return None
    return str(announced["url"]) if alive.get("instance") == announced["instance"] else None


def post(url: str, body: Mapping[str, Any], *, key: str = "") -> dict[str, Any]:
    """The server's answer. Raises ServerRefused with the problem that it reports."""
    return _asked("POST", url, json.dumps(body).encode(), key)


def delete(url: str, *, key: str = "") -> dict[str, Any]:
    """See post."""
    return _asked("DELETE", url, None, key)


def _asked(method: str, url: str, body: bytes | None, key: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            told = _problem(error.read())
        if error.code < 500:  # the problem says what to do
            raise FoundError(told) from error
        raise ServerRefused(f"{url} answered {error.code}: {told}") from error
    except OSError as error:
        raise ServerRefused(f"{url} does not answer: {error}.") from error


def _announced(work: Workdir) -> dict[str, str]:
    try:
        return dict(json.loads((work.root / "server.json").read_text()))
    except (OSError, ValueError):
        return {}


def _problem(body: bytes) -> str:
    try:
        problem = json.loads(body)
        return f"{problem['detail']} {problem['hint']}"
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
