"""Erases one user: blocked first, then out of every place that answers, then out of every file, then looked for.

Each step is safe to repeat, and a later one needs nothing that an earlier one removed: what a killed erasure left, the
next one of the same user removes. So the rows of tables go last: they tell which texts were the user's alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from feature_repo.contracts.blocklist import BlockList
from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.user_lists import read_user_list
from serving.audiences.database import Database
from serving.audiences.exports import ExportStore
from serving.audiences.store import AudienceStore
from serving.erasure import index_rows, lake, lines, models, online, tables, texts
from serving.erasure.person import Person
from serving.erasure.receipt import Place, Receipt
from serving.erasure.search import files_below, holding
from serving.index import UserIndex

_LOCK = ".lock"


def erase(settings: Settings, index: UserIndex | None, user_id: str, *, now: datetime | None = None) -> Receipt:
    """Removes the user from everything below the work directory and from the stores of the settings, and blocks later
    runs from bringing the user back. `index` is None where nothing was ever published.

    Raises InvalidRequest for what is no id.
    """
    person, work = Person(user_id), settings.work
    blocks = BlockList(work.erasure)
    work.erasure.mkdir(parents=True, exist_ok=True)
    with FileLock(work.erasure / _LOCK):
        fresh = blocks.add(user_id)
        receipt = _Erasure(settings, index, person).receipt(
            blocks.hash_of(user_id), fresh, (now or datetime.now(UTC)).isoformat(timespec="seconds")
        )
    return receipt.stored(work.erasure / "receipts")


@dataclass(frozen=True)
class _Erasure:
    settings: Settings
    index: UserIndex | None
    person: Person

    def receipt(self, digest: str, fresh: bool, now: str) -> Receipt:
        delivered = ExportStore(found).deliveries_of(self.person.user_id) if (found := self._database()) else []
        places = [self._from_index(), self._from_online(), self._from_audiences(found)]
        listed, known = tables.tables_below(self._root, without=self._apart), lake.texts_of(self.settings, self.person)
        own = texts.only_of(self.person, listed, known=known)
        past = models.forget(self._root, self.person, own)
        places += [Place("calibrations", past.users, "past users"), self._from_texts(own), *self._from_files(own)]
        searched = lake.search(self.settings, self.person)
        suppressed, unread = self._suppressed()
        return Receipt(
            user=digest,
            erased_at=now,
            known=any(place.removed for place in places),
            newly_blocked=fresh,
            places=places,
            calibrations_dropped=past.dropped,
            delivered_exports=delivered,
            left=self._left(),
            source_lake=searched.files,
            not_searched=[*searched.not_searched, *unread],
            suppression_list=suppressed,
        )

    @property
    def _root(self) -> Path:
        return self.settings.work.root

    @property
    def _apart(self) -> list[Path]:
        """What is no table of ours: the lake, should it lie below, what Milvus and SQLite keep, our own list, and the
        record of requests, which never names a user."""
        lake_folder = [Path(self.settings.lake)] if self.settings.lake else []
        links = [folder.resolve() for folder in lake_folder]
        work = self.settings.work
        return [*lake_folder, *links, work.milvus_lite, work.erasure, work.audit]

    def _from_index(self) -> Place:
        if self.index is None:
            return Place("index", 0, "rows", "there is no index")
        found = index_rows.forget(self.index, self.person)
        return Place("index", found.rows, "rows", found.compacted)

    def _from_online(self) -> Place:
        gone = online.forget(self.settings, self.person.user_id)
        return Place("online features", gone.features, "features", gone.compacted)

    def _database(self) -> Database | None:
        path = self.settings.work.audiences
        return Database(path) if path.is_file() else None

    def _from_audiences(self, found: Database | None) -> Place:
        gone = AudienceStore(found).forget(self.person.user_id) if found else 0
        return Place("stored audiences", gone, "rows", "VACUUM, write-ahead log emptied" if found else "")

    def _from_texts(self, own: texts.Keys) -> Place:
        """Texts of pairs stay for the moment: calibrations are searched by them."""
        if not len(own):
            return Place("texts of nobody else", 0, "rows and vectors")
        # Imported late: torch takes seconds, and most users leave no text that nobody else has.
        from model.forgetting import forget_texts

        wanted, pairs = tables.Drop(texts=tuple(own.tolist())), tables.pair_folders(self._root)
        gone = tables.drop(self._root, wanted, without=[*self._apart, *pairs])
        caches = [path for path in sorted(self._root.rglob("text_cache")) if not path.is_symlink()]
        vectors = sum(forget_texts(cache, own) for cache in caches)
        removed = gone.rows + vectors
        return Place("texts of nobody else", removed, "rows and vectors", "written anew" if removed else "")

    def _from_files(self, own: texts.Keys) -> list[Place]:
        gone = tables.drop(self._root, tables.Drop(self.person, tuple(own.tolist())), without=self._apart)
        records = [self.settings.work.audit, self.settings.work.keys.parent]  # no id is ever written there
        others = [p for p in files_below(self._root, without=[*self._apart, *records]) if p.suffix != ".parquet"]
        listed, masked = lines.unlist(self.person, others), lines.mask(self.person, others)
        return [
            Place("tables", gone.rows, "rows", f"{gone.files} files written anew" if gone.files else ""),
            Place("lists", listed, "lines"),
            Place("logs", masked, "times", "masked" if masked else ""),
        ]

    def _left(self) -> list[str]:
        without = [path for path in self._apart if path != self.settings.work.milvus_lite]
        found = holding(self.person, self._root, without=without)
        return [str(path.relative_to(self._root.absolute())) for path in found]

    def _suppressed(self) -> tuple[str, list[str]]:
        """The suppression list, where it names the user, and what of it could not be read."""
        path = self.settings.suppressed_users
        try:
            named = bool(path) and self.person.user_id in read_user_list(Path(path))
        except (OSError, FoundError) as error:
            return "", [f"the suppression list {path}: {error}"]
        return path if named else "", []
