"""Feast's registry and stores for one set of settings: open, apply, materialise.

`python -m feature_repo.store apply | materialize --ds DATE [--views a,b]` with the settings in the environment.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
from feast import FeatureStore, FeatureView, RepoConfig
from feast.errors import FeatureViewNotFoundException

from feature_repo.contracts.blocklist import Blocked, BlockList
from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.feast_config import BATCH_USERS, feast_config
from feature_repo.contracts.names import INPUT_VIEWS, JOIN_KEY, TIMESTAMP, Workdir
from feature_repo.contracts.publication import write_json
from feature_repo.contracts.settings import Settings, read_settings
from feature_repo.contracts.windows import cutoff_instant
from feature_repo.definitions import define
from feature_repo.online import online_columns
from feature_repo.point_in_time import point_in_time

__all__ = ["apply", "materialize", "online_columns", "open_store", "point_in_time"]


def open_store(settings: Settings) -> FeatureStore:
    """The feature store of the settings; apply it once before looking anything up."""
    return FeatureStore(config=RepoConfig(**feast_config(settings)))


def apply(settings: Settings) -> FeatureStore:
    """Registers all objects of definitions.py. Safe to repeat; a profile with new columns replaces the old view."""
    definitions = define(settings.work)
    settings.work.feast.mkdir(parents=True, exist_ok=True)
    store = open_store(settings)
    store.apply(definitions.objects)
    return store


def materialize(settings: Settings, ds: date, views: Sequence[str] = (), *, force: bool = False) -> dict[str, int]:
    """Loads exactly the partition `ds` of each view into the online store, without erased users; rows written, by view.

    One row per user is inserted or replaced; users of other days stay. Without `views`: the input views that
    the lake has. A view that a newer day was loaded into is left out, unless `force`: a backfill must not turn users
    back. Raises FoundError for a view that is not online and for a partition that is missing or that holds another
    cut-off than `ds`.
    """
    store = apply(settings)
    defined = {view.name for view in define(settings.work).views}
    wanted = views or [v for v in INPUT_VIEWS if v in defined]
    online = [_online_view(store, name) for name in wanted]
    files = {view.name: _files(settings.work, view.name, ds) for view in online}
    blocked = BlockList(settings.work.erasure).read()
    loaded = _Loaded(settings)
    written = {}
    for view in online:
        if force or loaded.newest(view.name) <= ds:
            written[view.name] = _write(store, view, files[view.name], ds, blocked)
            loaded.tell(view.name, ds)
    return written


class _Loaded:
    """The newest day of each view that was loaded into the online store of these settings."""

    def __init__(self, settings: Settings) -> None:
        store = f"{settings.online_store} {settings.redis}"
        self._store = hashlib.sha256(store.encode()).hexdigest()[:16]  # of an address that may hold a password
        self._path = settings.work.feast / "loaded.json"

    def newest(self, view: str) -> date:
        return date.fromisoformat(self._told().get(self._store, {}).get(view, date.min.isoformat()))

    def tell(self, view: str, ds: date) -> None:
        told = self._told()
        write_json(self._path, told | {self._store: told.get(self._store, {}) | {view: ds.isoformat()}})

    def _told(self) -> dict[str, dict[str, str]]:
        return dict(json.loads(self._path.read_text())) if self._path.exists() else {}


def _online_view(store: FeatureStore, name: str) -> FeatureView:
    known = sorted(v.name for v in store.list_feature_views() if v.online)
    with suppress(FeatureViewNotFoundException):
        view = store.get_feature_view(name)
        if view.online:
            return view
    raise FoundError(f"{name!r} is not an online feature view; these are: {', '.join(known)}.")


def _files(work: Workdir, view: str, ds: date) -> list[Path]:
    partition = work.partition(view, ds)
    if not (files := sorted(partition.glob("part-*.parquet"))):
        raise FoundError(
            f"no features to materialise: {partition} has no part-*.parquet. "
            f"Run build_features (for the embedding view embed_users) with --ds {ds} first."
        )
    return files


def _write(store: FeatureStore, view: FeatureView, files: Sequence[Path], ds: date, blocked: Blocked) -> int:
    rows = 0
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=BATCH_USERS):
                frame = batch.to_pandas()
                strange = frame.loc[frame[TIMESTAMP] != cutoff_instant(ds), TIMESTAMP]
                if len(strange):
                    raise FoundError(
                        f"{file} must hold the cut-off {ds} alone, found {strange.iloc[0]}: build it again."
                    )
                frame = frame[~frame[JOIN_KEY].isin(blocked.among(frame[JOIN_KEY]))]
                store.write_to_online_store(view.name, df=frame)
                rows += len(frame)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m feature_repo.store", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("apply", help="register the feature definitions")
    load = verbs.add_parser("materialize", help="load one day's features into the online store")
    load.add_argument("--ds", required=True, help="the day, like 2011-06-01")
    load.add_argument("--force", action="store_true", help="also where a newer day was loaded")
    load.add_argument("--views", default="", help="comma-separated feature views; default: all inputs")
    given = parser.parse_args(arguments)
    try:
        settings = read_settings(os.environ, Path.cwd())
        if given.verb == "apply":
            apply(settings)
            print(f"registered the feature definitions in {settings.work.feast}")
        else:
            views = [view for view in given.views.split(",") if view]
            written = materialize(settings, cutoff_instant(given.ds).date(), views, force=given.force)
            for view, rows in written.items():
                print(f"materialised {rows:,} rows of {view} for {given.ds}")
            if not written:
                print(f"a newer day than {given.ds} is online already: it was left out (--force loads it)")
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
