"""A client of the API for Python: `FoundClient("http://127.0.0.1:8080", key)`. It needs httpx and pydantic alone."""

import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from serving.answers import AudienceMessage, FeaturesMessage, PreviewMessage, ReadyMessage
from serving.audiences.answers import (
    AudiencePage,
    ComparedMessage,
    DeletedMessage,
    ExplainedMembers,
    ExportList,
    ExportMessage,
    Format,
    ReceiversMessage,
    Status,
    StoredAudienceMessage,
)
from serving.calling import Caller, FoundApiError, M

__all__ = ["FoundApiError", "FoundClient", "Member"]

POLL_SECONDS = 1.0
_UNFINISHED = ("queued", "running")


@dataclass(frozen=True)
class Member:
    """A member of a stored audience; ranks count from 1, and leave gaps where the hold-out is."""

    rank: int
    user_id: str
    score: float
    probability: float


class FoundClient:
    """Thread-safe. Whatever fails raises FoundApiError.

    Calls that change nothing, or that a server makes once however often they come, are sent again; see Caller. What is
    asked besides the arguments named here (filters, exclude_users, ...) are the fields of the API by their names.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 90.0,
        retries: int = 4,
        pause: float = 0.5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {_checked_key(key)}"} if key else {}
        http = httpx.Client(base_url=_checked_url(url), headers=headers, timeout=timeout, transport=transport)
        self._caller = Caller(http, retries, pause)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._caller.http.close()

    def ready(self) -> ReadyMessage:
        """What answers now."""
        return self._caller.read(ReadyMessage, "GET", "/readyz")

    def target(self, demand: str = "", *, size: int = 20, **asked: Any) -> AudienceMessage:
        """The users who will most probably do what the sentence says."""
        return self._ask(AudienceMessage, "target", demand=demand, size=size, **asked)

    def preview(self, demand: str = "", *, size: int = 20, **asked: Any) -> PreviewMessage:
        """What such an audience would be."""
        return self._ask(PreviewMessage, "preview", demand=demand, size=size, **asked)

    def lookalike(
        self, positives: Sequence[str], negatives: Sequence[str] = (), *, size: int = 20, **asked: Any
    ) -> AudienceMessage:
        """The users who are like the positives and unlike the negatives."""
        sides = {"positives": list(positives), "negatives": list(negatives)}
        return self._ask(AudienceMessage, "lookalike", **sides, size=size, **asked)

    def features(self, user_id: str) -> FeaturesMessage:
        """What the online store knows of a user."""
        return self._caller.read(FeaturesMessage, "GET", f"/v1/users/{quote(user_id, safe='')}/features")

    def create_audience(self, name: str, *, patience: float = 600.0, **asked: Any) -> StoredAudienceMessage:
        """A stored audience, made once however often this is sent, when it is ready (or was cancelled).

        Raises FoundApiError of code "not_ready" where that takes longer than `patience` seconds: it is made
        nevertheless, and `audience` finds it by the id in the message.
        """
        until = time.monotonic() + patience
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        wait = {"wait_seconds": min(30.0, patience)}
        given: dict[str, Any] = {"json": {"name": name, **asked}, "headers": headers, "params": wait}
        found = self._caller.read(StoredAudienceMessage, "POST", "/v1/audiences", **given)
        while found.status in _UNFINISHED:
            if time.monotonic() > until:
                detail = f"the audience {found.id} is {found.status} after {patience:g} seconds."
                raise FoundApiError(status=202, code="not_ready", detail=detail, hint="Ask for it again by its id.")
            time.sleep(POLL_SECONDS)
            found = self.audience(found.id)
        if found.error:
            raise FoundApiError(status=200, **found.error.model_dump())
        return found

    def audience(self, id: str) -> StoredAudienceMessage:
        return self._caller.read(StoredAudienceMessage, "GET", f"/v1/audiences/{id}")

    def audiences(self, status: Status | None = None) -> Iterator[StoredAudienceMessage]:
        """All stored audiences, the newest first, read page by page."""
        asked = {"limit": 100} | ({"status": status} if status else {})
        cursor: dict[str, str] = {}
        while True:
            page = self._caller.read(AudiencePage, "GET", "/v1/audiences", params=asked | cursor)
            yield from page.data
            if page.next_cursor is None:
                return
            cursor = {"cursor": page.next_cursor}

    def members(self, id: str) -> Iterator[Member]:
        """The members, best first, as they arrive; without the hold-out."""
        with self._caller.answer("GET", f"/v1/audiences/{id}/members", params={"format": "jsonl"}) as answer:
            for line in answer.iter_lines():
                yield Member(**json.loads(line))

    def download(self, id: str, path: Path | str, *, format: Format = "csv") -> None:
        """Writes the members into a file, which appears whole or not at all."""
        path = Path(path)
        beside = path.with_name(f".{path.name}.part")
        try:
            with self._caller.answer("GET", f"/v1/audiences/{id}/members", params={"format": format}) as answer:
                with beside.open("wb") as file:
                    file.writelines(answer.iter_bytes())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def reasons(self, id: str, *, limit: int = 10) -> ExplainedMembers:
        """What moved the scores of the first members."""
        return self._caller.read(ExplainedMembers, "GET", f"/v1/audiences/{id}/reasons", params={"limit": limit})

    def export(self, id: str, url: str, *, format: Format = "jsonl") -> ExportMessage:
        """Queues the sending of the members to an https address. Sent once: a second request is a second export."""
        asked = {"url": url, "format": format}
        return self._caller.read(ExportMessage, "POST", f"/v1/audiences/{id}/exports", json=asked, repeatable=False)

    def exports(self, id: str) -> list[ExportMessage]:
        """How the exports of an audience went, the newest first."""
        return self._caller.read(ExportList, "GET", f"/v1/audiences/{id}/exports").data

    def receivers(self) -> ReceiversMessage:
        """Whether the server sends exports, and to which hosts."""
        return self._caller.read(ReceiversMessage, "GET", "/v1/receivers")

    def compare(self, one: str, other: str) -> ComparedMessage:
        """How many users two audiences share."""
        return self._caller.read(ComparedMessage, "POST", "/v1/audiences:compare", json={"audiences": [one, other]})

    def rename(self, id: str, name: str) -> StoredAudienceMessage:
        return self._caller.read(StoredAudienceMessage, "PATCH", f"/v1/audiences/{id}", json={"name": name})

    def cancel(self, id: str) -> StoredAudienceMessage:
        """Stops the making of an audience."""
        return self._caller.read(StoredAudienceMessage, "POST", f"/v1/audiences/{id}:cancel", repeatable=False)

    def delete(self, id: str) -> None:
        """Removes an audience with its members, seeds and exports."""
        self._caller.read(DeletedMessage, "DELETE", f"/v1/audiences/{id}", repeatable=False)

    def _ask(self, message: type[M], kind: str, **asked: Any) -> M:
        return self._caller.read(message, "POST", f"/v1/audiences:{kind}", json=asked)


def _checked_url(url: str) -> str:
    try:
        if httpx.URL(url).scheme in ("http", "https"):
            return url.rstrip("/")
    except httpx.InvalidURL:
        pass
    detail = f"the address of a server is like http://127.0.0.1:8080, found {url!r}."
    raise FoundApiError(status=0, code="bad_address", detail=detail, hint="Correct it.")


def _checked_key(key: str) -> str:
    """Without the end of the line that it was read from."""
    if re.fullmatch(r"[!-~]+", key.strip()):
        return key.strip()
    raise FoundApiError(
        status=0, code="bad_key", detail="a key is one word of ASCII.", hint="Make one: found keys create."
    )
