"""An audience as a stream of bytes: CSV, JSON lines or Parquet, best first, without its hold-out."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.audiences.records import StoredMember

Pages = Iterable[list[tuple[int, StoredMember]]]
"""Members with their ranks from 0."""
COLUMNS = ("rank", "user_id", "score", "probability")
_SCHEMA = pa.schema({"rank": pa.int32(), "user_id": pa.string(), "score": pa.float64(), "probability": pa.float64()})

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
FILE = {"schema": {"type": "string", "format": "binary"}}
"""A file, as the API's description says it."""


def streamed(pages: Pages, format: str, versions: Mapping[str, Any]) -> Iterator[bytes]:
    """The exported members: `rank` counts from 1 over all members, so the hold-out leaves gaps.

    A Parquet file carries the versions as metadata. The bytes are the same every time.
    """
    exported = ([_row(rank, m) for rank, m in page if not m.holdout] for page in pages)
    write: dict[str, Callable[..., Iterator[bytes]]] = {"csv": _csv, "jsonl": _jsonl}
    return _parquet(exported, versions) if format == "parquet" else write[format](exported)


def version_headers(versions: Mapping[str, Any]) -> dict[str, str]:
    """The versions for whoever gets a stream: Found-Model-Version and so on."""
    return {f"Found-{name.replace('_', '-').title()}": str(value) for name, value in versions.items()}


def _row(rank: int, member: StoredMember) -> tuple[int, str, float, float]:
    return rank + 1, member.user_id, member.score, member.probability


def _csv(pages: Iterable[list[tuple[Any, ...]]]) -> Iterator[bytes]:
    yield (",".join(COLUMNS) + "\r\n").encode()
    for page in pages:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(page)
        yield text.getvalue().encode()


def _jsonl(pages: Iterable[list[tuple[Any, ...]]]) -> Iterator[bytes]:
    for page in pages:
        lines = (json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in page)
        yield "".join(lines).encode()


def _parquet(pages: Iterable[list[tuple[Any, ...]]], versions: Mapping[str, Any]) -> Iterator[bytes]:
    told = {f"found_{name}": str(value) for name, value in versions.items()}
    out = _Pieces()
    with pq.ParquetWriter(out, _SCHEMA.with_metadata(told)) as writer:
        for page in pages:
            writer.write_table(pa.table([list(c) for c in zip(*page, strict=True)] or [[]] * 4, schema=_SCHEMA))
            yield out.taken()
    yield out.taken()


class _Pieces(io.RawIOBase):
    """What was written since it was last taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        pieces, self._pieces = b"".join(self._pieces), []
        return pieces
