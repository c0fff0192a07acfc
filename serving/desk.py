"""The audience desk of one work directory: the model that made the published vectors, and publications.

The alias decides which model answers: the desk loads `WORKDIR/models/<version>` of the collection that it
names, and loads another one when the alias moves. A query never meets the vectors of another model.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import ALIAS
from feature_repo.contracts.settings import Settings
from serving.audience import Audience, Demand, DemandModel, Preview, SeedAnswerer, Stored
from serving.erasure.erase import erase
from serving.erasure.receipt import Receipt
from serving.errors import IndexMissing, ModelMissing, VersionsDisagree
from serving.fresh import Fresh, embedded
from serving.index import UserIndex, open_index
from serving.opening import open_eligibility, open_reader
from serving.publish import Published, publish, rollback
from serving.question import Question
from serving.rows import Publication
from serving.similar import Query, Similar, similar
from serving.targeting import Targeting
from serving.texts import read_texts
from serving.user_features import OnlineFeatures

ModelLoader = Callable[[Path], DemandModel]


class Desk:
    """Answers and publishes; thread-safe. Close it to give a Milvus Lite file back."""

    def __init__(self, settings: Settings, index: UserIndex, *, load_model: ModelLoader, answer: SeedAnswerer) -> None:
        self._settings = settings
        self._work = settings.work
        self._index = index
        self._features = OnlineFeatures(settings)
        self._load_model = load_model
        self._answer = answer
        self._turn = threading.Lock()
        self._thinking = threading.Lock()
        self._publishing = threading.Lock()
        self._targeting: Targeting | None = None

    @property
    def settings(self) -> Settings:
        return self._settings

    def close(self) -> None:
        self._index.close()

    def ready(self) -> Targeting:
        """What answers now. Raises IndexMissing, ModelMissing or VersionsDisagree where nothing can."""
        publication = self._index.published()
        if publication is None:
            raise IndexMissing(f"no collection is published under the alias {ALIAS!r}.")
        with self._turn:
            if self._targeting is None or self._targeting.publication != publication:
                self._targeting = self._open(publication)
            return self._targeting

    def target(self, question: Question, **asked: Any) -> Audience:
        """See Targeting.target. One question at a time: the model is the bottleneck, and it is not thread-safe."""
        targeting = self.ready()
        with self._thinking:
            return targeting.target(question, **asked)

    def preview(self, question: Question, **asked: Any) -> Preview:
        """See Targeting.preview."""
        targeting = self.ready()
        with self._thinking:
            return targeting.preview(question, **asked)

    def lookalike(self, positives: Sequence[str], **asked: Any) -> Audience:
        """See Targeting.lookalike."""
        targeting = self.ready()
        with self._thinking:
            return targeting.lookalike(positives, **asked)

    def similar(self, query: Query, **asked: Any) -> Similar:
        """See serving.similar.similar."""
        targeting = self.ready()
        with self._thinking:
            return similar(targeting, query, **asked)

    def embed(self, user_id: str) -> Fresh:
        """The user's embedding from what is online now: see serving.fresh.embedded."""
        targeting = self.ready()
        with self._thinking:
            return embedded(targeting, self._work, user_id)

    def features_of(self, user_id: str) -> dict[str, dict[str, Any]]:
        """The user's online features. Raises UserWithoutFeatures."""
        return self._features.of(user_id)

    def publish(self, ds: date) -> Published:
        """See serving.publish.publish; two publications never overlap."""
        with self._publishing:
            return publish(self._index, self._work, ds, denied=self._settings.names("denied_fields"))

    def rollback(self) -> Publication:
        with self._publishing:
            return rollback(self._index, self._work)

    def erase(self, user_id: str) -> Receipt:
        """See serving.erasure.erase; what answers is then opened again, since it held texts and past users."""
        with self._publishing:
            receipt = erase(self._settings, self._index, user_id)
        with self._turn:
            self._targeting = None
        return receipt

    def _open(self, publication: Publication) -> Targeting:
        loaded = self._targeting.model if self._targeting else None
        if loaded is None or loaded.version != publication.model_version:
            loaded = self._load(publication)
        day = date.fromisoformat(publication.ds)
        texts = read_texts(self._work, day)
        vectors = loaded.text_vectors(self._work.text_cache)
        eligibility = open_eligibility(self._settings, publication)
        reader = open_reader(self._settings, loaded, eligibility.filters, texts, vectors)
        return Targeting(
            loaded, self._index, publication, self._features, texts, vectors, self._answer, reader, eligibility
        )

    def _load(self, publication: Publication) -> DemandModel:
        folder = self._work.models / publication.model_version
        if not folder.is_dir():
            raise ModelMissing(
                f"{publication.collection} was made by model {publication.model_version!r}, but there is no {folder}."
            )
        try:
            model = self._load_model(folder)
        except FoundError as error:
            raise ModelMissing(f"{publication.collection} cannot be asked: {error}") from error
        if model.version != publication.model_version:
            raise VersionsDisagree(
                f"{publication.collection} was made by model {publication.model_version!r}, "
                f"{folder} holds model {model.version!r}."
            )
        return model


def load_found_model(folder: Path) -> DemandModel:
    # Imported late: torch takes seconds, and a desk without a publication needs none of it.
    from model.found import FoundModel

    model: DemandModel = FoundModel.from_pretrained(folder)
    return model


def answer_found_seeds(
    model: Any, demand: str, day: date, positives: Stored, negatives: Stored, population: Stored, vectors: Any
) -> Demand:
    from model.few_shot import answer_seeds
    from model.vectors import Users

    near, far, usual = (Users(*side) for side in (positives, negatives, population))
    return answer_seeds(model, demand, day, near, far, usual, vectors)


def open_desk(settings: Settings) -> Desk:
    """The desk of these settings. Raises IndexLocked where another process owns the Milvus Lite file."""
    return Desk(settings, open_index(settings), load_model=load_found_model, answer=answer_found_seeds)
