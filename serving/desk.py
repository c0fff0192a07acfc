"""The audience desk of one work directory: the model that made the published vectors, and publications.

The alias decides which model answers: the desk loads `WORKDIR/models/<version>` of the collection that it
names, and another one beside it when the alias moves. A query never meets the vectors of another model.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import ALIAS
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import TEMPLATE_VERSION
from serving.alone import MODELS
from serving.audience import Audience, DemandModel, Preview, SeedAnswerer
from serving.beside import beside
from serving.erasure.erase import erase
from serving.erasure.receipt import Receipt
from serving.errors import IndexMissing, IndexUnreachable, ModelMissing, ServingError, VersionsDisagree
from serving.filling import Filling
from serving.found_model import answer_found_seeds, load_found_model
from serving.fresh import Fresh, embedded
from serving.index import UserIndex, open_index
from serving.opening import open_eligibility, open_reader
from serving.publish import Published, publish, rollback
from serving.question import Question
from serving.reloading import PATIENCE_SECONDS, Reloading
from serving.remembered import Remembered
from serving.rows import Publication
from serving.similar import Query, Similar, similar
from serving.targeting import Targeting
from serving.telemetry.metrics import WAITING
from serving.telemetry.stages import stage
from serving.texts import read_texts
from serving.user_features import OnlineFeatures

ModelLoader = Callable[[Path], DemandModel]
A = TypeVar("A")


class Desk:
    """Answers and publishes; thread-safe. Close it to give a Milvus Lite file back."""

    def __init__(self, settings: Settings, index: UserIndex, *, load_model: ModelLoader, answer: SeedAnswerer) -> None:
        self._settings = settings
        self._work = settings.work
        self._index = index
        self._features = OnlineFeatures(settings)
        self._load_model = load_model
        self._answer = answer
        self._thinking = threading.Lock()
        self._publishing = threading.Lock()
        self._answering = Reloading(self._open)
        self._filling = Filling(self._answering.exchange, megabytes=settings.memory_mb)
        self._fills = False
        self._silent_until = 0.0

    @property
    def settings(self) -> Settings:
        return self._settings

    def close(self) -> None:
        self._filling.end()
        self._index.close()

    def fill_memory(self) -> None:
        """From now on the rows of what answers are read into memory, beside the questions: for who will ask often."""
        with suppress(ServingError):  # not ready yet is a state that /readyz reports
            self._filling.begin(self.ready())
        self._fills = True

    def ready(self) -> Targeting:
        """What answers now: of another publication than the alias names only while that one is being opened.

        Raises IndexMissing, ModelMissing or VersionsDisagree where nothing can.
        """
        return self._answering.of(self._published())

    def target(self, question: Question, *, by: Targeting | None = None, **asked: Any) -> Audience:
        """See Targeting.target. `by` is what `ready` gave, for several questions to one publication."""
        return self._ask(lambda targeting: targeting.target(question, **asked), by)

    def preview(self, question: Question, **asked: Any) -> Preview:
        """See Targeting.preview."""
        return self._ask(lambda targeting: targeting.preview(question, **asked))

    def lookalike(self, positives: Sequence[str], *, by: Targeting | None = None, **asked: Any) -> Audience:
        """See Targeting.lookalike."""
        return self._ask(lambda targeting: targeting.lookalike(positives, **asked), by)

    def similar(self, query: Query, **asked: Any) -> Similar:
        """See serving.similar.similar."""
        return self._ask(lambda targeting: similar(targeting, query, **asked))

    def embed(self, user_id: str) -> Fresh:
        """The user's embedding from what is online now: see serving.fresh.embedded."""
        return self._ask(lambda targeting: embedded(targeting, self._work, user_id))

    def features_of(self, user_id: str) -> dict[str, dict[str, Any]]:
        """The user's online features. Raises UserWithoutFeatures."""
        return self._features.of(user_id)

    def publish(self, ds: date, *, force: bool = False) -> Published:
        """See serving.publish.publish; two publications never overlap."""
        denied = self._settings.names("denied_fields")
        with self._publishing:
            done = publish(self._index, self._work, ds, denied=denied, force=force)
        self._answer_at_once()
        return done

    def rollback(self) -> Publication:
        with self._publishing:
            previous = rollback(self._index, self._work)
        self._answer_at_once()
        return previous

    def erase(self, user_id: str) -> Receipt:
        """See serving.erasure.erase; what answers is then opened again, since it held texts and past users."""
        with self._publishing:
            receipt = erase(self._settings, self._index, user_id)
        self._answering.forget()
        return receipt

    def _ask(self, question: Callable[[Targeting], A], by: Targeting | None = None) -> A:
        """The answer of `by`, else of what `ready` gives: what the alias names is looked up beside the question, and
        asked again in the rare case that something else answers by now."""
        now = None if by else self._answering.now
        if now is None:
            return self._answer_of(by or self.ready(), question, fixed=by is not None)
        looked_up = beside(lambda: self._named(now))
        try:
            answer = self._answer_of(now, question)
        except FoundError:
            if self._answering.of(looked_up.result()).publication == now.publication:
                raise
        else:
            if self._answering.of(looked_up.result()).publication == now.publication:
                return answer
        return self._answer_of(self.ready(), question)

    def _answer_of(self, targeting: Targeting, question: Callable[[Targeting], A], *, fixed: bool = False) -> A:
        """One question at a time: the model is the bottleneck, and it is not thread-safe.

        The question is asked again where its collection was dropped meanwhile, two publications later, and where a
        night that is being published wrote texts after the publication was opened.
        """
        try:
            return self._in_turn(question, targeting)
        except IndexMissing:
            published = self._published()
            if fixed or published.collection == targeting.publication.collection:
                raise
            return self._in_turn(question, self._answering.wait_for(published))
        except ServingError:
            raise
        except FoundError:
            return self._in_turn(question, replace(targeting, vectors=self._text_vectors(targeting.model)))

    def _in_turn(self, question: Callable[[Targeting], A], targeting: Targeting) -> A:
        with MODELS.asking():  # before the turn, always: who has the turn never waits for who wants to be alone
            with WAITING.track_inprogress(), stage("wait"):
                self._thinking.acquire()
            try:
                return question(targeting)
            finally:
                self._thinking.release()

    def _named(self, now: Targeting) -> Publication:
        """What the alias names; while no index says so, what answers from memory: its answers need none."""
        in_memory = now.rows.everybody is not None
        if in_memory and time.monotonic() < self._silent_until:
            return now.publication
        try:
            return self._published()
        except IndexUnreachable:
            if not in_memory:
                raise
            self._silent_until = time.monotonic() + PATIENCE_SECONDS
            return now.publication

    def _published(self) -> Publication:
        """What the alias names. Raises VersionsDisagree where this code renders other texts than it was made of."""
        publication = self._index.published()
        if publication is None:
            raise IndexMissing(f"no collection is published under the alias {ALIAS!r}.")
        if publication.template_version != TEMPLATE_VERSION:
            raise VersionsDisagree(
                f"{publication.collection} was made with templates of version {publication.template_version}, this "
                f"server has version {TEMPLATE_VERSION}."
            )
        self._folder_of(publication)
        return publication

    def _answer_at_once(self) -> None:
        """What was just published answers the next question; where it cannot, /readyz says why."""
        with suppress(ServingError):
            self._answering.wait_for(self._published())

    @stage("open")
    @MODELS.asking()
    def _open(self, publication: Publication, now: Targeting | None) -> Targeting:
        loaded = now.model if now and now.model.version == publication.model_version else self._load(publication)
        texts = read_texts(self._work, date.fromisoformat(publication.ds))
        vectors = self._text_vectors(loaded)
        eligibility = open_eligibility(self._settings, publication)
        reader = open_reader(self._settings, loaded, eligibility.filters, texts, vectors)
        opened = Targeting(
            loaded,
            self._index,
            publication,
            self._features,
            texts,
            vectors,
            self._answer,
            reader,
            eligibility,
            Remembered(self._index, publication.collection, megabytes=self._settings.memory_mb),
            self._settings.minimum_audience,
        )
        if self._fills:
            self._filling.begin(opened)
        return opened

    def _text_vectors(self, model: DemandModel) -> Any:
        with MODELS.asking(), self._thinking:  # the model, which may be answering, is set to another mode for it
            return model.text_vectors(self._work.text_cache)

    def _folder_of(self, publication: Publication) -> Path:
        folder = self._work.models / publication.model_version
        if not folder.is_dir():
            raise ModelMissing(
                f"{publication.collection} was made by model {publication.model_version!r}, but there is no {folder}."
            )
        return folder

    def _load(self, publication: Publication) -> DemandModel:
        folder = self._folder_of(publication)
        try:
            model = self._load_model(folder)
        except FoundError as error:
            raise ModelMissing(f"{publication.collection} cannot be asked: {error}") from error
        except Exception as error:
            raise ModelMissing(
                f"{publication.collection} cannot be asked: {folder} cannot be read ({type(error).__name__})."
            ) from error
        if model.version != publication.model_version:
            raise VersionsDisagree(
                f"{publication.collection} was made by model {publication.model_version!r}, "
                f"{folder} holds model {model.version!r}."
            )
        return model


def open_desk(settings: Settings) -> Desk:
    """The desk of these settings. Raises IndexLocked where another process owns the Milvus Lite file."""
    return Desk(settings, open_index(settings), load_model=load_found_model, answer=answer_found_seeds)
