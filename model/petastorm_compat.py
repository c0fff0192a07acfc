"""Petastorm 0.13.1 on today's pyarrow and numpy: `make_batch_reader`.

petastorm still speaks APIs that are gone: `pyarrow.filesystem` and the legacy `ParquetDataset` (removed in
pyarrow 15 and 16), `numpy.unicode_` (numpy 2.0). Here stands the part of them that its batch reader needs for
flat folders and files on a local file system. Nothing global in pyarrow.parquet changes: only petastorm's own
`pq` names point at this module, which forwards everything else to pyarrow.parquet.
"""

import importlib
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as _pq


class LocalFileSystem:
    """The few calls petastorm makes on the old pyarrow local file system."""

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        return cast(BinaryIO, open(path, mode))

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def isdir(self, path: str) -> bool:
        return os.path.isdir(path)

    def isfile(self, path: str) -> bool:
        return os.path.isfile(path)

    def ls(self, path: str) -> list[str]:
        return sorted(os.path.join(path, name) for name in os.listdir(path))


LOCAL = LocalFileSystem()


class ParquetDatasetPiece:
    """One file, or one row group of it."""

    def __init__(
        self,
        path: str,
        open_file_func: Callable[[str, str], BinaryIO] = LOCAL.open,
        file_options: Any = None,
        row_group: int | None = None,
        partition_keys: Sequence[Any] | None = None,
    ) -> None:
        self.path, self.open_file_func, self.row_group = path, open_file_func, row_group
        self.partition_keys = list(partition_keys or [])

    def open(self) -> Any:
        return _pq.ParquetFile(self.open_file_func(self.path, "rb"))

    def get_metadata(self) -> Any:
        with self.open_file_func(self.path, "rb") as handle:
            return _pq.read_metadata(handle)

    def read(self, columns: Any = None, partitions: Any = None, **_ignored: Any) -> Any:
        with self.open_file_func(self.path, "rb") as handle:
            file = _pq.ParquetFile(handle)
            names = list(columns) if columns is not None else None
            table = file.read(names) if self.row_group is None else file.read_row_group(self.row_group, names)
        return table.replace_schema_metadata(None).combine_chunks()


class ParquetDataset:
    """A flat folder of parquet files, or a list of files, without metadata files."""

    partitions = metadata = common_metadata = metadata_path = common_metadata_path = None

    def __init__(self, path_or_paths: str | Sequence[str], filesystem: Any = None, **_ignored: Any) -> None:
        self.fs = filesystem or LOCAL
        self.paths = path_or_paths if isinstance(path_or_paths, str) else list(path_or_paths)
        if isinstance(self.paths, str) and self.fs.isdir(self.paths):
            names = [path for path in self.fs.ls(self.paths) if not os.path.basename(path).startswith((".", "_"))]
        else:
            names = [self.paths] if isinstance(self.paths, str) else self.paths
        self.pieces = [ParquetDatasetPiece(name, open_file_func=self.fs.open) for name in names]


def __getattr__(name: str) -> Any:
    """Everything else that petastorm asks of `pq`."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_pq, name)


def _install() -> None:
    for old, new in (("unicode_", np.str_), ("string_", np.bytes_)):
        if old not in np.__dict__:
            setattr(np, old, new)
    filesystem, hdfs = types.ModuleType("pyarrow.filesystem"), types.ModuleType("pyarrow.hdfs")
    filesystem.__dict__.update(FileSystem=LocalFileSystem, LocalFileSystem=LocalFileSystem)
    hdfs.__dict__.update(HadoopFileSystem=LocalFileSystem)
    for module in (filesystem, hdfs):
        sys.modules.setdefault(module.__name__, module)
    pa.__dict__.setdefault("localfs", LOCAL)
    pa.__dict__.setdefault("filesystem", filesystem)
    pa.__dict__.setdefault("hdfs", hdfs)
    if not hasattr(pa.lib, "ArrowIOError"):
        pa.lib.ArrowIOError = OSError
    for name in ("reader", "arrow_reader_worker", "py_dict_reader_worker", "etl.dataset_metadata"):
        importlib.import_module(f"petastorm.{name}").pq = sys.modules[__name__]  # type: ignore[attr-defined]


_install()
make_batch_reader = importlib.import_module("petastorm").make_batch_reader
