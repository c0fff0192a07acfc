"""A server with forty published users and a place to store audiences; see serving_doubles."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient
from serving_doubles import (
    DAY,
    WordModel,
    answer_by_difference,
    bought,
    embedded,
    write_embeddings,
    write_features,
    write_profile,
)

from feature_repo.contracts.settings import Settings
from serving.app import create_app
from serving.audiences.records import Made, NewAudience, StoredMember
from serving.desk import Desk
from serving.expressions import among
from serving.index import UserIndex, open_index
from serving.publish import publish

USERS = 40
NOW = "2024-06-01T09:00:00+00:00"
VERSIONS = {"model_version": "v1", "collection": "users_v1", "ds": "2024-06-01", "template_version": 1}


def open_desk(settings: Settings) -> Desk:
    return Desk(settings, open_index(settings), load_model=WordModel.load, answer=answer_by_difference)


def published(root: Path, **settings: object) -> Settings:
    """The settings of a work directory with forty published users, whose audiences may be of any size."""
    made = Settings(**{"workdir": str(root), "horizon_days": 30, "minimum_audience": 0, **settings})
    write_embeddings(made.work, DAY, embedded(USERS), texts=bought(USERS))
    write_profile(made.work, DAY, {"age": [20.0 + at for at in range(USERS)]})
    write_features(made, DAY, USERS)
    with open_index(made) as index:
        publish(index, made.work, DAY)
    return made


LOOPBACK = "http://127.0.0.1"


@contextmanager
def serving(settings: Settings, open_desk: Callable[[Settings], Desk] = open_desk) -> Iterator[TestClient]:
    """A client of the app of these settings; what fails in it is an answer, not an exception."""
    app = create_app(settings, open_desk=open_desk)
    with TestClient(app, base_url=LOOPBACK, raise_server_exceptions=False) as client:
        yield client


def new(name: str = "one", **given: object) -> NewAudience:
    return NewAudience(name, "target", {"demand": "picnic", "size": 5}, **given)


def made(users: int = 3, *, held_out: int = 0, prefix: str = "u", ds: str = "2024-06-01", **given: object) -> Made:
    """`users` members of falling probability, the last `held_out` of them held out."""
    members = [
        StoredMember(f"{prefix}{at:05}", 1.0 - at / 10, 1 / (at + 2), holdout=at >= users - held_out)
        for at in range(users)
    ]
    told = {
        "versions": VERSIONS | {"ds": ds},
        "horizon_days": 30,
        "gap_days": 0,
        "counting": {"method": "unknown", "groups": [], "reason": "nothing was asked"},
        "prediction": {"expected": 1.0, "low": 0, "high": 2, "level": 0.8, "method": "a test"},
    }
    return Made(members=members, **{**told, **given})


def weighted_texts(index: UserIndex, users: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Keys and weights of the users' texts as the index holds them."""
    rows = index.read("users_v1", among(users), ["user_id", "text_keys", "text_weights"])
    return {r["user_id"]: (np.array(r["text_keys"], np.int64), np.array(r["text_weights"], np.float32)) for r in rows}
