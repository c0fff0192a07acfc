"""From a stored request to a stored audience: seeds looked at, the desk asked, members and promise put down."""

import json
import logging
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from feature_repo.contracts.blocklist import BlockList
from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving.audience import Audience
from serving.audiences import counting
from serving.audiences.counting import Counting, Meaning
from serving.audiences.explaining import ask
from serving.audiences.holdout import drawn
from serving.audiences.prediction import predicted
from serving.audiences.records import (
    NEGATIVES,
    POSITIVES,
    Made,
    StoredAudience,
    StoredMember,
    asked_again,
)
from serving.audiences.seeds import UNKNOWN, Diagnosis, diagnosed
from serving.audiences.store import AudienceStore
from serving.desk import Desk
from serving.errors import FeaturesUnreachable, IndexUnreachable, InvalidRequest, ServingError, UnknownUsers
from serving.rows import UNASKABLE
from serving.targeting import Targeting

LOOKED, ANSWERED, READ = 0.1, 0.8, 0.9
"""Progress: the seeds were looked at, the desk has answered, what counts is known."""
_USUAL = 1_000
_SEED = 0
_log = logging.getLogger(__name__)


class Maker:
    """Makes queued audiences, one after the other."""

    def __init__(self, settings: Settings, desk: Desk, store: AudienceStore, meaning: Meaning) -> None:
        self._settings, self._desk, self._store, self._meaning = settings, desk, store, meaning

    def step(self) -> bool:
        """Makes the audience that has waited longest; False where none waits, or where it is to wait for an engine that
        cannot be reached. Any other failure is stored with the audience."""
        if not (queued := self._store.claim()):
            return False
        try:
            self._make(queued)
        except (IndexUnreachable, FeaturesUnreachable) as error:
            _log.warning("the audience %s waits: %s", queued.id, error.code)
            self._store.put_back(queued.id)
            return False
        except FoundError as error:
            self._store.fail(queued.id, _failure(error))
        except Exception as error:
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("the audience %s failed with %s\n%s", queued.id, type(error).__name__, where)
            self._store.fail(queued.id, _failure(ServingError("the server failed to make the audience.")))
        return True

    def _make(self, queued: StoredAudience) -> None:
        asked = asked_again(queued.request, self._store.given_users(queued.id))
        by = self._desk.ready()
        diagnosis = self._looked_at(queued.id, asked, by) if queued.kind == "lookalike" else None
        if not self._store.advance(queued.id, LOOKED):
            return
        # Reasons of users are not stored, what sets the audience apart is: an answer that explains nobody has neither.
        answer = ask(self._desk, queued.kind, asked | {"explain": 1}, by)
        if not self._store.advance(queued.id, ANSWERED):
            return
        counts = self._counting(queued.request, answer)
        if self._store.advance(queued.id, READ):
            self._store.finish(queued.id, self._made(queued, answer, counts, diagnosis))

    def _looked_at(self, name: str, asked: dict[str, Any], by: Targeting) -> Diagnosis:
        """The diagnosis of the seeds; those that the index does not know are taken out of `asked`.

        Raises UnknownUsers where no positive is left.
        """
        index, collection = by.index, by.publication.collection
        positives, negatives = asked[POSITIVES], asked.get(NEGATIVES) or []
        askable = [user for user in dict.fromkeys([*positives, *negatives]) if not UNASKABLE.search(user)]
        stored = index.vectors(collection, askable)
        random = index.vectors(collection, index.sample(collection, _USUAL, seed=_SEED))
        usual = np.array(list(random.values()), dtype=np.float64)
        found = diagnosed(positives, negatives, stored, usual)
        self._store.note(name, found.notes)
        for side in (POSITIVES, NEGATIVES):
            asked[side] = [user for user in asked.get(side) or [] if found.notes.get(user) != UNKNOWN]
        if positives and not asked[POSITIVES]:
            shown = ", ".join(map(repr, positives[:10]))
            raise UnknownUsers(f"the index {collection} holds none of the positive seeds {shown}.")
        return found

    def _counting(self, request: Mapping[str, Any], answer: Audience) -> Counting:
        if request["counts_when"]:
            return counting.stated(request["counts_when"])
        if edited := [name for name in ("sentences", "conditions") if request["asked"].get(name) is not None]:
            return counting.unknown(f"{' and '.join(edited)} were given, not read from the demand: state counts_when")
        if not answer.demand.strip():
            return counting.unknown("seeds without a demand do not say what counts: state it as counts_when")
        return self._meaning.of(answer.demand, answer.ds)

    def _made(self, queued: StoredAudience, answer: Audience, counts: Counting, diagnosis: Diagnosis | None) -> Made:
        blocked = BlockList(self._settings.work.erasure).read()  # a user may be erased while the desk answers
        users = [user for user in answer.users if not blocked.holds(user.user_id)]
        held_out = drawn([user.user_id for user in users], queued.holdout_share, salt=queued.id)
        members = [StoredMember(u.user_id, u.score, u.probability, u.user_id in held_out) for u in users]
        windows = windows_of(self._settings, answer.model_version)
        return Made(
            members=members,
            versions={
                "model_version": answer.model_version,
                "collection": answer.collection,
                "ds": answer.ds,
                "template_version": answer.template_version,
            },
            horizon_days=windows[0],
            gap_days=windows[1],
            counting=counts.to_dict(),
            prediction=predicted([member.probability for member in members], answer.expected),
            diagnostics=diagnosis.document() if diagnosis else {},
            why=[asdict(trait) for trait in answer.why],
        )


def windows_of(settings: Settings, model_version: str) -> tuple[int, int]:
    """(horizon, gap) in days that the model was trained for; where its folder does not say, those of the settings."""
    folder: Path = settings.work.models / model_version
    try:
        windows = json.loads((folder / "config.json").read_text())["metadata"]["windows"]
        return int(windows["horizon_days"]), int(windows["gap_days"])
    except (OSError, ValueError, KeyError):
        return settings.horizon_days, settings.gap_days


def _failure(error: FoundError) -> dict[str, Any]:
    if isinstance(error, ServingError):
        return {"code": error.code, "detail": error.detail, "hint": error.hint, "status": error.status}
    return {"code": "refused", "detail": str(error), "hint": InvalidRequest.hint, "status": InvalidRequest.status}
