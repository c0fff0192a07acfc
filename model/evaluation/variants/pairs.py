"""Datasets of pairs made of others, in the format of build_pairs, so that both stages train on them as on any."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from model.data import Columns, Pairs, open_pairs, read_file_pyarrow

NO_PROFILE: dict[str, list[str]] = {"categorical": [], "numeric": []}
PROFILE_COLUMNS = ("profile_categories", "profile_numbers")


def derived(pairs: Pairs, folder: Path, change: Callable[[Columns], Columns], *, how: object) -> Pairs:
    """The pairs after `change`, in `folder`; the same files and rows. `how` tells the change from others."""
    (folder / "pairs").mkdir(parents=True)
    for path in pairs.files:
        _write(folder / "pairs" / path.name, change(read_file_pyarrow(path)))
    (folder / "texts").symlink_to((pairs.folder / "texts").resolve(), target_is_directory=True)
    return _published(folder, dict(pairs.manifest) | {"fingerprint": _digest([pairs.manifest["fingerprint"], how])})


def without_profile(pairs: Pairs, folder: Path) -> Pairs:
    """The pairs in `folder` as those of a lake without profiles: their tables have no such columns."""
    made = derived(pairs, folder, no_profile, how="without profile")
    return _published(folder, dict(made.manifest) | {"profile": NO_PROFILE})


def no_profile(columns: Columns) -> Columns:
    """The columns as a lake without profiles has them: one empty slot of each kind."""
    users = len(columns["cutoff_day"])
    nothing = (np.zeros((users, 1), np.int64), np.full((users, 1), np.nan, np.float32))
    return columns | dict(zip(PROFILE_COLUMNS, nothing, strict=True))


def merged(parts: Sequence[Pairs], folder: Path) -> Pairs:
    """The pairs of several lakes as those of one, in `folder`, each file with rows of every lake.

    Profiles are left out: no two lakes have the same columns. Raises FoundError where the arrays differ in length.
    """
    lengths = [part.manifest["lengths"] for part in parts]
    if any(other != lengths[0] for other in lengths):
        raise FoundError(
            f"lakes are trained on together with the same lengths of arrays, found {lengths} in "
            f"{[str(part.folder) for part in parts]}: build all pairs with the same settings."
        )
    (folder / "pairs").mkdir(parents=True)
    for number, paths in enumerate(zip_longest(*(part.files for part in parts))):
        some = [no_profile(read_file_pyarrow(path)) for path in paths if path]
        _write(
            folder / "pairs" / f"part-{number:05d}.parquet",
            {name: np.concatenate([columns[name] for columns in some]) for name in some[0]},
        )
    (folder / "texts").mkdir()
    texts = pa.concat_tables([pq.read_table(str(part.folder / "texts")).cast(_TEXTS) for part in parts])
    _, first = np.unique(texts["text_key"].to_numpy(), return_index=True)
    pq.write_table(texts.take(first), folder / "texts" / "part-00000.parquet")
    return _published(folder, _manifest_of_all([part.manifest for part in parts]))


_TEXTS = pa.schema({"text_key": pa.int64(), "text": pa.string()})


def _manifest_of_all(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    windows = [manifest["windows"] for manifest in manifests]
    return dict(manifests[0]) | {
        "lake": " and ".join(manifest["lake"] for manifest in manifests),
        "currency": "",
        "windows": {name: max(each[name] for each in windows) for name in windows[0]},
        "cutoffs": sorted({day for manifest in manifests for day in manifest["cutoffs"]}),
        "rows": sum(manifest["rows"] for manifest in manifests),
        "files": max(manifest["files"] for manifest in manifests),
        "profile": NO_PROFILE,
        "fingerprint": _digest([manifest["fingerprint"] for manifest in manifests]),
    }


def _write(path: Path, columns: Columns) -> None:
    """One file with one row group, which readers take at once."""
    table = pa.table({name: _arrow(values) for name, values in columns.items()})
    pq.write_table(table, path, row_group_size=max(1, len(table)))


def _arrow(values: "np.ndarray") -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(values).ravel()))


def _published(folder: Path, manifest: Mapping[str, Any]) -> Pairs:
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_pairs(folder)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
