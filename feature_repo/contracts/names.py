"""Names with versions: feature views, files of a work directory, Milvus collections."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

SCHEMA_VERSION = 1
"""Counts changes of inputs.py. Goes into every manifest; a model refuses inputs of another version."""

ENTITY = "user"
JOIN_KEY = "user_id"
TIMESTAMP = "event_timestamp"
"""A snapshot's event_timestamp is its cut-off; it holds only what lies strictly before."""

HISTORY, SEARCHES, PROFILE, ACTIVITY = "history", "searches", "profile", "activity"
TEXTS, DESCRIPTION, EMBEDDING = "texts", "description", "embedding"
INPUT_VIEWS = (HISTORY, SEARCHES, PROFILE, ACTIVITY)
TRAINING_SERVICE = f"training_v{SCHEMA_VERSION}"
SERVING_SERVICE = f"serving_v{SCHEMA_VERSION}"

CENTROIDS, INTERESTS_CONFIG, INTEREST_OF_TEXT = "centroids.safetensors", "interests.json", "interest_of_text.parquet"
"""The files of one version of the interests: K unit vectors, what they are, and (text_key, interest)."""

ALIAS = "users"
"""The Milvus alias that serving reads."""


def collection(model_version: str) -> str:
    return f"users_{model_version}"


def outcome_name(ds: date, horizon_days: int, gap_days: int) -> str:
    """The folder of what happened in one window."""
    return f"{ds.isoformat()}_{horizon_days}d" + (f"_gap{gap_days}d" if gap_days else "")


@dataclass(frozen=True)
class Workdir:
    """Where everything derived from a lake lies."""

    root: Path

    def seeded(self, seed: int) -> "Workdir":
        """Where the models of another seed lie, which share this directory's data."""
        return Workdir(self.root / f"seed-{seed}") if seed else self

    def view(self, name: str) -> Path:
        return self.root / "features" / name

    def partition(self, view: str, ds: date) -> Path:
        return self.view(view) / f"ds={ds.isoformat()}"

    @property
    def profile_schema(self) -> Path:
        """JSON: {"categorical": [...], "numeric": [...]}, written by build_features."""
        return self.root / "features" / "profile_schema.json"

    @property
    def pairs(self) -> Path:
        return self.root / "pairs"

    @property
    def text_cache(self) -> Path:
        return self.root / "text_cache"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def current_model(self) -> Path:
        """A text file with the folder name of the model in service."""
        return self.models / "CURRENT"

    @property
    def published(self) -> Path:
        """JSON: {"ds": the day that the index answers by}, written by its publication and by a rollback."""
        return self.root / "published.json"

    @property
    def interest_texts(self) -> Path:
        """Every distinct event text (LURM)."""
        return self.root / "interests" / "texts"

    @property
    def interest_clusters(self) -> Path:
        """One folder per version of the interests, and CURRENT."""
        return self.root / "interests" / "clusters"

    def interest_bags(self, ds: date) -> Path:
        return self.root / "interests" / "bags" / f"ds={ds.isoformat()}"

    @property
    def interest_encoder(self) -> Path:
        """One folder per version of the multi-anchor encoder, and CURRENT."""
        return self.root / "interests" / "encoder"

    def interest_anchors(self, ds: date) -> Path:
        """One parquet file."""
        return self.root / "interests" / "anchors" / f"ds={ds.isoformat()}.parquet"

    @property
    def feast(self) -> Path:
        return self.root / "feast"

    @property
    def milvus_lite(self) -> Path:
        return self.root / "milvus.db"

    @property
    def keys(self) -> Path:
        """The hashes of the API's keys."""
        return self.root / "access" / "keys.json"

    @property
    def audit(self) -> Path:
        """What was asked of the server: one file of JSON lines a day."""
        return self.root / "audit"

    @property
    def audiences(self) -> Path:
        """The SQLite file of stored audiences."""
        return self.root / "audiences" / "audiences.db"

    @property
    def outcomes(self) -> Path:
        """What happened in windows that have passed: manifest.json, and a folder of each `outcome_name`."""
        return self.root / "audiences" / "outcomes"

    @property
    def outcomes_asked(self) -> Path:
        """JSON: the windows, and the keys of the texts, that outcomes are wanted of."""
        return self.root / "audiences" / "asked.json"

    @property
    def erasure(self) -> Path:
        """Who was erased, as a block list, and the receipts."""
        return self.root / "erasure"

    @property
    def evaluation(self) -> Path:
        return self.root / "evaluation.json"
