"""The audiences of one work directory: stored, made one after the other, exported."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from feature_repo.contracts.blocklist import BlockList
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import text_key
from serving.audience import Reason
from serving.audiences.counting import Meaning, is_summary
from serving.audiences.database import Database
from serving.audiences.errors import AudienceNotReady, ExportFailed, UnknownTexts
from serving.audiences.explaining import reasons
from serving.audiences.exports import DELIVERED, Export, ExportStore
from serving.audiences.formats import MEDIA_TYPES, streamed, version_headers
from serving.audiences.jobs import Runner
from serving.audiences.making import Maker
from serving.audiences.records import (
    FAILED,
    NEGATIVES,
    POSITIVES,
    QUEUED,
    READY,
    UNFINISHED,
    NewAudience,
    StoredAudience,
)
from serving.audiences.rewritten import RewrittenMeaning
from serving.audiences.store import AudienceStore
from serving.audiences.webhook import Receivers, deliver, receivers_of
from serving.desk import Desk
from serving.errors import AudienceTooSmall, ContradictingSeeds, NoSeeds, ServingError


class Audiences:
    """Thread-safe. `start` goes on with what an earlier server left; `stop` begins nothing more; `close` returns after
    the piece under way, or puts it back into the queue where it takes too long."""

    def __init__(self, settings: Settings, desk: Desk, meaning: Meaning, receivers: Receivers) -> None:
        database = Database(settings.work.audiences)
        self._desk, self.receivers, self._smallest = desk, receivers, settings.minimum_audience
        self._patience = settings.grace_seconds
        self._blocks = BlockList(settings.work.erasure)
        self.store, self.exports = AudienceStore(database), ExportStore(database)
        self._making = Runner("audiences", Maker(settings, desk, self.store, meaning).step)
        self._sending = Runner("exports", self._deliver_one)

    def start(self) -> None:
        self.store.requeue()
        self.exports.requeue()
        self._making.start()
        self._sending.start()

    def stop(self) -> None:
        for runner in (self._making, self._sending):
            runner.stop()

    def close(self) -> None:
        self.stop()
        if not self._making.close(self._patience):
            self.store.requeue()
        if not self._sending.close(self._patience):
            self.exports.requeue()

    def create(self, new: NewAudience, *, wait_seconds: float) -> tuple[StoredAudience, bool]:
        """The audience and whether it is new; made already if that took no longer than the caller waits.

        Raises what a request is refused for before anything is stored.
        """
        new = new.without(self._blocks.read())
        self._refuse(new)
        created, fresh = self.store.create(new, now=_now())
        self._making.wake()

        def done() -> bool:
            return self.store.get(created.id).status not in UNFINISHED

        self._making.wait_until(done, wait_seconds)
        return self.store.get(created.id), fresh

    def cancel(self, name: str) -> StoredAudience:
        cancelled = self.store.cancel(name)
        self._making.wake()
        return cancelled

    def ready(self, name: str) -> StoredAudience:
        """Raises AudienceNotReady for one that is not."""
        found = self.store.get(name)
        if found.status != READY:
            raise AudienceNotReady(f"the audience {name} is {found.status}.")
        return found

    def stream(self, audience: StoredAudience, format: str) -> Iterator[bytes]:
        """The exported members in a format."""
        return streamed(self.store.members(audience.id), format, audience.versions)

    def reasons(self, audience: StoredAudience, *, limit: int) -> list[tuple[str, tuple[Reason, ...]]]:
        """Why its first members are in it. Raises AudienceOutdated."""
        return reasons(self._desk, self.store, audience, limit=limit)

    def compare(self, names: Sequence[str]) -> tuple[list[StoredAudience], int]:
        """Both audiences, and how many users are in both."""
        one, other = (self.ready(name) for name in names)
        return [one, other], self.store.shared(one.id, other.id)

    def export(self, name: str, *, url: str, format: str) -> tuple[StoredAudience, Export]:
        """A queued export to an allowed address."""
        self.receivers.refuse(url)
        audience = self.ready(name)
        export = self.exports.create(name, url=url, format=format, now=_now())
        self._sending.wake()
        return audience, export

    def _refuse(self, new: NewAudience) -> None:
        if (size := int(new.asked["size"])) < self._smallest:
            raise AudienceTooSmall(f"a stored audience has at least {self._smallest} users, asked for {size}.")
        if new.kind == "lookalike":
            positives, negatives = new.asked[POSITIVES], new.asked.get(NEGATIVES) or []
            if not positives:
                raise NoSeeds("a lookalike audience needs positive seeds, found none.")
            if both := sorted(set(positives) & set(negatives)):
                raise ContradictingSeeds(f"a seed is either positive or negative, found as both: {both}.")
        asked = [text for text in new.counts_when if not is_summary(text)]
        if asked:
            known = self._desk.ready().texts.of([text_key(text) for text in asked])
            if strange := [text for text in asked if text_key(text) not in known]:
                raise UnknownTexts(f"the lake has no text {', '.join(map(repr, strange[:5]))}.")

    def _deliver_one(self) -> bool:
        """Sends the export that has waited longest; False where none waits."""
        if not (export := self.exports.claim()):
            return False
        try:
            self._deliver(export)
        except ServingError as error:
            again = isinstance(error, ExportFailed) and self._sending.stopped.is_set()
            self.exports.settle(export.id, QUEUED if again else FAILED, error=error.detail)
        except Exception as error:
            self.exports.settle(export.id, FAILED, error=type(error).__name__)
            raise
        else:
            self.exports.settle(export.id, DELIVERED)
        return True

    def _deliver(self, export: Export) -> None:
        audience = self.ready(export.audience)
        headers = {"Content-Type": MEDIA_TYPES[export.format], "Found-Export": export.id, "Found-Audience": audience.id}
        deliver(
            self.receivers,
            export.url,
            partial(self.stream, audience, export.format),
            headers | version_headers(audience.versions),
            tried=partial(self.exports.tried, export.id),
            stopped=self._sending.stopped,
        )


def open_audiences(settings: Settings, desk: Desk, *, alone: bool) -> Audiences:
    """The audiences of these settings, not started yet. `alone`: nobody but this machine reaches the server."""
    return Audiences(settings, desk, RewrittenMeaning(settings), receivers_of(settings, alone=alone))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
