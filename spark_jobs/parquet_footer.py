"""Makes the bytes of Spark's parquet files depend on their rows alone.

parquet-mr lists the encodings of a column chunk in the order of a hash set of objects, which differs from one
JVM to the next; nothing reads that order. The footer is Thrift in the compact protocol; sorting the list moves
bytes but changes no length.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"PAR1"
_ENCODINGS = (4, 1, 3, 2)
"""Field ids: FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data, ColumnMetaData.encodings."""
_VARINTS = (4, 5, 6)
_BINARY, _LIST, _SET, _STRUCT, _DOUBLE = 8, 9, 10, 12, 7


def canonical(path: Path) -> None:
    """Sorts the lists of encodings in the footer, in place."""
    with path.open("r+b") as file:
        file.seek(-8, 2)
        length, magic = struct.unpack("<I4s", file.read(8))
        assert magic == _MAGIC, f"{path} is no parquet file"
        file.seek(-8 - length, 2)
        start = file.tell()
        footer = bytearray(file.read(length))
        for first, end in list(_encodings(footer)):
            footer[first:end] = bytes(sorted(footer[first:end]))
        file.seek(start)
        file.write(footer)


def _encodings(footer: bytearray) -> Iterator[tuple[int, int]]:
    """Where the lists of encodings lie: each element is one byte."""
    found: list[tuple[int, int]] = []
    _struct(footer, 0, (), found)
    yield from found


def _varint(data: bytearray, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _struct(data: bytearray, at: int, path: tuple[int, ...], found: list[tuple[int, int]]) -> int:
    """The position behind the struct at `at`; every list of encodings inside goes to `found`."""
    field = 0
    while data[at]:
        delta, kind = data[at] >> 4, data[at] & 0x0F
        at += 1
        if delta:
            field += delta
        else:
            zigzag, at = _varint(data, at)
            field = (zigzag >> 1) ^ -(zigzag & 1)
        inside = (*path, field)
        start, at = at, _value(data, at, kind, inside, found)
        if inside == _ENCODINGS:
            found.append((start + 1, at))
    return at + 1


def _value(data: bytearray, at: int, kind: int, path: tuple[int, ...], found: list[tuple[int, int]]) -> int:
    if kind in (1, 2):  # a boolean field lies in its type
        return at
    if kind in _VARINTS:
        return _varint(data, at)[1]
    if kind == _BINARY:
        length, at = _varint(data, at)
        return at + length
    if kind in (_LIST, _SET):
        return _elements(data, at, path, found)
    if kind == _STRUCT:
        return _struct(data, at, path, found)
    assert kind in (3, _DOUBLE), f"a parquet footer holds no field of type {kind}"
    return at + (1 if kind == 3 else 8)


def _elements(data: bytearray, at: int, path: tuple[int, ...], found: list[tuple[int, int]]) -> int:
    size, kind = data[at] >> 4, data[at] & 0x0F
    at += 1
    if size == 15:
        size, at = _varint(data, at)
    for _ in range(size):
        at = at + 1 if kind in (1, 2) else _value(data, at, kind, path, found)
    return at
