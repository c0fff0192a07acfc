"""Which days have embeddings, and by which model."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import EMBEDDING, Workdir


@dataclass(frozen=True)
class Day:
    """A published partition of embeddings, all by one model."""

    ds: date
    folder: Path
    model_version: str

    def model_folder(self, work: Workdir) -> Path:
        """Of the model that made them. Raises FoundError where it is gone."""
        folder = work.models / self.model_version
        if not folder.is_dir():
            raise FoundError(
                f"the embeddings of {self.ds} were made by model {self.model_version!r}, but there is no {folder}: "
                "copy that model there, or embed the day by the model in service "
                f"(spark_jobs/embed_users.py --ds {self.ds})."
            )
        return folder


def chosen_day(work: Workdir, ds: date | None) -> Day:
    """The day asked for. By default the one that the index answers by; before any publication the newest that the model
    in service embedded, else the newest of all."""
    days = [ds] if ds else sorted(embedded_days(work), reverse=True)
    if not days:
        raise FoundError(f"there are no embeddings in {work.view(EMBEDDING)}: run spark_jobs/embed_users.py first.")
    if not ds and (published := _published(work)) in days:
        return _day(work, published)
    in_service = work.current_model.read_text().strip() if work.current_model.exists() else ""
    return _day(work, next((day for day in days if in_service in _versions(work, day, files=1)), days[0]))


def _published(work: Workdir) -> date | None:
    try:
        return date.fromisoformat(json.loads(work.published.read_text())["ds"])
    except FileNotFoundError:
        return None


def embedded_days(work: Workdir) -> list[date]:
    folders = work.view(EMBEDDING).glob("ds=*")
    return sorted(date.fromisoformat(folder.name.removeprefix("ds=")) for folder in folders)


def _day(work: Workdir, ds: date) -> Day:
    folder = work.partition(EMBEDDING, ds)
    versions = _versions(work, ds)
    if not versions:
        known = ", ".join(map(str, embedded_days(work))) or "none"
        raise FoundError(
            f"there are no embeddings of {ds}, found those of: {known}. Run spark_jobs/embed_users.py --ds {ds} first."
        )
    if len(versions) > 1:
        raise FoundError(
            f"{folder}: embeddings must come from one model, found {sorted(versions)}. Embed the day again "
            f"(spark_jobs/embed_users.py --ds {ds} --full)."
        )
    return Day(ds, folder, versions.pop())


def _versions(work: Workdir, ds: date, *, files: int | None = None) -> set[str]:
    """The models that made a day's embeddings, by all of its files or only the first."""
    versions: set[str] = set()
    for path in sorted(work.partition(EMBEDDING, ds).glob("*.parquet"))[:files]:
        table = pq.read_table(path, columns=["model_version"], read_dictionary=["model_version"], partitioning=None)
        versions |= set(table["model_version"].unique().to_pylist())
    return versions
