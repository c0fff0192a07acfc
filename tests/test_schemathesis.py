"""The API keeps to its own description, whatever is sent: examples, coverage, fuzzing, and sequences of requests."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from audience_doubles import published
from fastapi import FastAPI
from fastapi.testclient import TestClient
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from serving_doubles import KNOWN, WORDS, answer_by_difference, words_vector
from starlette.types import ASGIApp, Receive, Scope, Send
from test_users_router import EmbeddingModel

from feature_repo.contracts.settings import Settings, read_settings
from feature_repo.contracts.templates import text_key
from model.text_cache import TextTable
from serving.app import create_app
from serving.desk import Desk
from serving.desk import open_desk as open_real_desk
from serving.index import open_index

KEY = "open sesame"
GUARDED = {"admin_key": KEY, "require_keys": "always", "requests_per_minute": 0}
REFUSED = ["2xx", "401", "403", "404", "409", "413", "422", "429"]
"""What a request may be answered that fits the description: 422 is also what cannot be known from a field alone."""
ANY_ID = {
    "include-path": "/v1/users/{user_id}/features",
    "checks": {"unsupported_method": {"enabled": False}},
}
"""A user id may hold slashes: DELETE of this path erases the user whose id ends so."""
PHASES = ("examples", "coverage", "fuzzing", "stateful")


class WholeModel(EmbeddingModel):
    """Every text is cached."""

    def text_vectors(self, cache):
        by_key = {text_key(text): words_vector(text) for text in KNOWN}
        keys = sorted(by_key)
        return TextTable(np.array(keys), np.stack([np.zeros(WORDS, np.float32), *(by_key[key] for key in keys)]))


def open_desk(settings: Settings) -> Desk:
    return Desk(settings, open_index(settings), load_model=WholeModel.load, answer=answer_by_difference)


def settings_of(cases: int, phases: tuple[str, ...]) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": 7,
            "request-timeout": 120,
            "headers": {"Authorization": f"Bearer {KEY}"},
            "generation": {"max-examples": cases},
            "checks": {"positive_data_acceptance": {"expected-statuses": REFUSED}},
            "phases": {name: {"enabled": name in phases} for name in PHASES},
            "operations": [ANY_ID],
        }
    )


def started(app: FastAPI) -> ASGIApp:
    """The app as one that runs already: a server of its own would be the second of its work directory."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{step}"
            await send({"type": f"lifespan.{step}.complete"})

    return answer


def asked(app: FastAPI, config: SchemathesisConfig) -> tuple[Counter[str], list[str]]:
    """How many requests were sent in each phase, and what was wrong with any of them."""
    sent: Counter[str] = Counter()
    wrong: list[str] = []
    schema = schemathesis.openapi.from_asgi("/openapi.json", started(app), config=config)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            sent[event.phase.value] += len(event.recorder.cases)
            for checks in event.recorder.checks.values():
                failed = [check for check in checks if check.status is not Status.SUCCESS]
                wrong += [f"{event.recorder.label}: {check.name}: {check.failure_info}" for check in failed]
        elif isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(vars(event)))
    return sent, wrong


def test_some_requests_of_every_kind_are_answered_as_described(tmp_path):
    app = create_app(published(tmp_path, **GUARDED), open_desk=open_desk)
    with TestClient(app, raise_server_exceptions=False):
        sent, wrong = asked(app, settings_of(3, ("examples", "fuzzing", "stateful")))

    assert wrong == []
    assert sum(sent.values()) >= 80, sent


@pytest.mark.slow
def test_five_thousand_requests_are_answered_as_described(served):
    """The real model on a lake that both DAGs brought into service."""
    settings = read_settings(served.environ, Path("/")).with_arguments(GUARDED)
    app = create_app(settings, open_desk=open_real_desk)
    with TestClient(app, raise_server_exceptions=False):
        sent, wrong = asked(app, settings_of(150, PHASES))

    assert wrong == []
    assert sum(sent.values()) >= 5_000, sent
