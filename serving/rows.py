"""What one collection of the index holds: its rows, its schema, and what its properties say of it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient

from serving import facts
from serving.facts import Column, Fact
from serving.versions import versions_of

LONGEST_ID = 256
MOST_TEXTS = 4_096
"""A Milvus array holds no more."""
BUCKETS = 1 << 20
_KINDS = {"number": DataType.DOUBLE, "days": DataType.DOUBLE, "category": DataType.VARCHAR}

UNASKABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that a Milvus expression cannot spell: no user of an index has them."""

Vector = NDArray[np.float32]
WeightedTexts = tuple[NDArray[np.int64], NDArray[np.float32]]
"""The keys and the weights of a user's texts."""


@dataclass(frozen=True)
class Row:
    """One user as the index holds it: the weighted texts are what re-ranking asks for, the facts what filters do."""

    user_id: str
    vector: Vector
    texts: WeightedTexts
    ds: str
    input_hash: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    facts_hash: str = ""

    def entity(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "vector": self.vector,
            "text_keys": self.texts[0].tolist(),
            "text_weights": self.texts[1].tolist(),
            "ds": self.ds,
            "input_hash": self.input_hash,
            "facts_hash": self.facts_hash,
            "bucket": bucket_of(self.user_id),
            **self.facts,
        }


@dataclass(frozen=True)
class Hit:
    user_id: str
    score: float


@dataclass(frozen=True)
class Publication:
    """What a collection holds. `previous` is the collection that the alias named before it, or ''; `columns` are what
    it can be filtered by; `written` is another word after every publication that wrote or deleted rows."""

    collection: str
    dimension: int
    model_version: str
    template_version: int
    ds: str = ""
    previous: str = ""
    columns: tuple[Column, ...] = ()
    written: str = ""

    @property
    def versions(self) -> dict[str, Any]:
        """What an answer says of what answered."""
        return versions_of(self)

    def properties(self) -> dict[str, str]:
        """What a new collection says of itself."""
        return {
            "found_model_version": self.model_version,
            "found_template_version": str(self.template_version),
            "found_columns": facts.dumps(self.columns),
        }


def described(name: str, found: Mapping[str, Any]) -> Publication:
    """The publication of a collection, from Milvus' description of it."""
    stored = {str(k): str(v) for k, v in dict(found.get("properties") or {}).items()}
    vector = next(f for f in found["fields"] if f["name"] == "vector")
    return Publication(
        collection=name,
        dimension=int(vector["params"]["dim"]),
        model_version=stored.get("found_model_version", ""),
        template_version=int(stored.get("found_template_version", 0)),
        ds=stored.get("found_ds", ""),
        previous=stored.get("found_previous", ""),
        columns=facts.loads(stored.get("found_columns", "")),
        written=stored.get("found_written", ""),
    )


def bucket_of(user_id: str) -> int:
    return int.from_bytes(hashlib.md5(user_id.encode(), usedforsecurity=False).digest()[:4], "big") % BUCKETS


def schema(dimension: int, columns: Sequence[Column]) -> Any:
    """The fields of a collection; a column's are null where nothing is known."""
    made = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    made.add_field("user_id", DataType.VARCHAR, max_length=LONGEST_ID, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    for name, kind in (("text_keys", DataType.INT64), ("text_weights", DataType.FLOAT)):
        made.add_field(name, DataType.ARRAY, element_type=kind, max_capacity=MOST_TEXTS)
    made.add_field("ds", DataType.VARCHAR, max_length=10)
    made.add_field("input_hash", DataType.VARCHAR, max_length=64)
    made.add_field("facts_hash", DataType.VARCHAR, max_length=32)
    made.add_field("bucket", DataType.INT64)
    for column in columns:
        sized = {"max_length": facts.LONGEST_VALUE} if column.kind == "category" else {}
        made.add_field(column.stored, _KINDS[column.kind], nullable=True, **sized)
    return made
