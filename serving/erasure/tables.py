"""Rows out of Parquet files: row group by row group, and each folder replaced as a whole, as jobs publish it."""

import json
import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.contracts.pair_files import BEFORE_ERASURES, FINGERPRINT, fingerprint
from feature_repo.contracts.publication import RUNS, publish, published_by, write_json
from serving.erasure.person import Person
from serving.erasure.search import USER, USER_KEY, files_below, is_parquet

TEXT_KEY = "text_key"
_LOOKS = 5
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Drop:
    """Which rows go: of tables about users those of `person`, of tables that list texts those of these keys; none of
    the kind that is not given."""

    person: Person | None = None
    texts: tuple[int, ...] = ()

    def columns(self, schema: pa.Schema) -> list[str]:
        """The columns of a table that decide; none where none of its rows goes."""
        if users := [name for name in (USER, USER_KEY) if name in schema.names]:
            return users if self.person else []
        return [TEXT_KEY] if self.texts and TEXT_KEY in schema.names else []

    def gone(self, table: pa.Table) -> pa.ChunkedArray:
        """A flag per row; the table has one of the columns."""
        values: dict[str, list[Any]] = {TEXT_KEY: list(self.texts)}
        if self.person:
            values |= {USER: [self.person.user_id], USER_KEY: [self.person.key]}
        flags = [pc.is_in(table[name], pa.array(values[name], table[name].type)) for name in self.columns(table.schema)]
        one, *others = flags
        for other in others:
            one = pc.or_(one, other)
        return one


@dataclass(frozen=True)
class Dropped:
    """How many rows went, out of how many files."""

    rows: int = 0
    files: int = 0


def pair_folders(root: Path) -> list[Path]:
    """Where datasets of pairs lie, behind their links."""
    found = (path for path in root.rglob(MANIFEST) if not path.parent.is_symlink())
    return [path.parent.absolute() for path in found if "fingerprint" in json.loads(path.read_text())]


def tables_below(root: Path, *, without: Collection[Path] = ()) -> list[Path]:
    return [p for p in files_below(root, without=without) if p.suffix == ".parquet" and is_parquet(p)]


def drop(root: Path, wanted: Drop, *, without: Collection[Path] = ()) -> Dropped:
    """Every table below `root` without these rows. Each published folder is replaced at once, a file of its own too;
    whoever reads goes on with the old one. Safe to repeat."""
    counts = _counts(root, wanted, without)
    by_run: dict[Path | None, list[Path]] = {}
    for path in counts:
        run = _run_of(path, root)
        by_run.setdefault(run if run and published_by(run) else None, []).append(path)
    for run, paths in by_run.items():
        shown = published_by(run) if run else None
        if run and shown:
            publish(shown, _Rebuild(shown, wanted))
        else:
            _replace(paths, wanted)
    return Dropped(sum(counts.values()), len(counts))


def _counts(root: Path, wanted: Drop, without: Collection[Path]) -> dict[Path, int]:
    """The tables with rows to go, and how many. A job that publishes meanwhile takes files away: then all are looked
    at again."""
    for _ in range(_LOOKS - 1):
        with suppress(FileNotFoundError):
            return _matching_below(root, wanted, without)
    return _matching_below(root, wanted, without)


def _matching_below(root: Path, wanted: Drop, without: Collection[Path]) -> dict[Path, int]:
    return {path: count for path in tables_below(root, without=without) if (count := _matching(path, wanted))}


@dataclass(frozen=True)
class _Rebuild:
    """Fills a new folder with what is published when its turn has come: files with rows to go are written again, all
    others are links to the same bytes."""

    shown: Path
    wanted: Drop

    def __call__(self, folder: Path) -> None:
        run = self.shown.parent / self.shown.readlink()
        gone = {path: _gone_rows(path, self.wanted) for path in sorted(_matching_below(run, self.wanted, ()))}
        for path in files_below(run):
            target = folder / path.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path not in gone:
                _linked(path, target)
            elif not _rewritten(path, target, self.wanted) and any(p != path for p in path.parent.glob("*.parquet")):
                target.unlink()
        if (folder / MANIFEST).exists():
            _amend(folder, gone.values())


def _run_of(path: Path, root: Path) -> Path | None:
    """The run's folder that a file lies in, the outermost."""
    below = path.relative_to(root.absolute()).parts
    at = below.index(RUNS) + 1 if RUNS in below[:-2] else 0
    return root.absolute().joinpath(*below[: at + 1]) if at else None


def _matching(path: Path, wanted: Drop) -> int:
    with pq.ParquetFile(path) as file:
        columns = wanted.columns(file.schema_arrow)
        groups = range(file.num_row_groups) if columns else ()
        flags = (wanted.gone(file.read_row_group(group, columns=columns)) for group in groups)
        return sum(int(pc.sum(each).as_py() or 0) for each in flags)


def _gone_rows(path: Path, wanted: Drop) -> pa.Table:
    with pq.ParquetFile(path) as file:
        groups = (file.read_row_group(group) for group in range(file.num_row_groups))
        return pa.concat_tables([table.filter(wanted.gone(table)) for table in groups])


def _rewritten(source: Path, target: Path, wanted: Drop) -> int:
    """Writes the rows that stay; returns how many. Spark's own notes on the schema stay with them."""
    kept = 0
    with pq.ParquetFile(source) as file:
        compression = file.metadata.row_group(0).column(0).compression if file.num_row_groups else "snappy"
        with pq.ParquetWriter(target, file.schema_arrow, compression=compression) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                stays = table.filter(pc.invert(wanted.gone(table)))
                if len(stays):
                    writer.write_table(stays, row_group_size=len(stays))
                kept += len(stays)
    return kept


def _replace(paths: Iterable[Path], wanted: Drop) -> None:
    for path in paths:
        draft = path.with_name(f".{path.name}.erasing")
        _rewritten(path, draft, wanted)
        os.replace(draft, path)


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _amend(folder: Path, gone: Iterable[pa.Table]) -> None:
    """The figures of a dataset's manifest after rows went; a manifest of another kind stays as it is."""
    told: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    tables = [table for table in gone if len(table)]
    if FINGERPRINT in told:
        told.setdefault(BEFORE_ERASURES, told[FINGERPRINT])
        files = sorted((folder / "pairs").glob("part-*.parquet"))
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        told |= {"rows": rows, "files": len(files), FINGERPRINT: fingerprint(folder)}
    elif "interests" in told:
        told["rows"] -= sum(map(len, tables))
        told["users"] -= len({user for table in tables for user in table[USER].unique().to_pylist()})
        told["events"] -= sum(int(pc.sum(pc.list_flatten(table["counts"])).as_py() or 0) for table in tables)
    write_json(folder / MANIFEST, told)
