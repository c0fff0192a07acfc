"""The routes: what may be asked of the desk, and by whom."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serving import errors as e
from serving.answers import (
    AliveMessage,
    AudienceMessage,
    FeaturesMessage,
    PreviewMessage,
    PublishedMessage,
    ReadyMessage,
    RolledBackMessage,
)
from serving.desk import Desk
from serving.messages import LookalikeRequest, PublishRequest, TargetRequest
from serving.problems import documented
from serving.publish import Published
from serving.rows import Publication

_UNREADY = (e.IndexMissing, e.ModelMissing, e.VersionsDisagree, e.IndexUnreachable)
_MISREAD = (e.EmptyDemand, e.DemandTooLong, e.OtherLanguage, e.InvalidConditions)
_FILTERED = (e.UnknownFilterField, e.DeniedFilter, e.InvalidFilter, e.Misconfigured)
_bearer = HTTPBearer(auto_error=False, description="the server's FOUND_ADMIN_KEY")

router = APIRouter()


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def require_admin(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Lets the holder of the admin key pass."""
    key: str = request.app.state.settings.admin_key
    if not key:
        raise e.AdminDisabled("this server was started without an admin key.")
    if given is None or not secrets.compare_digest(given.credentials.encode(), key.encode()):
        raise e.Unauthorized("the request carries no valid admin key.")


TheDesk = Annotated[Desk, Depends(_desk)]


@router.post(
    "/v1/audiences:target",
    response_model=AudienceMessage,
    responses=documented(*_UNREADY, *_MISREAD, *_FILTERED, e.AudienceTooLarge),
    tags=["audiences"],
)
def target(asked: TargetRequest, desk: TheDesk) -> Any:
    """The users who will most probably do what the sentence says, and how it was read."""
    return desk.target(asked.question(), size=asked.size, minimum_probability=asked.minimum_probability)


@router.post(
    "/v1/audiences:preview",
    response_model=PreviewMessage,
    responses=documented(*_UNREADY, *_MISREAD, *_FILTERED),
    tags=["audiences"],
)
def preview(asked: TargetRequest, desk: TheDesk) -> Any:
    """What such an audience would be: its size, expected precision by decile, a sample, and how the demand was read."""
    return desk.preview(asked.question(), size=asked.size, minimum_probability=asked.minimum_probability)


@router.post(
    "/v1/audiences:lookalike",
    response_model=AudienceMessage,
    responses=documented(
        *_UNREADY,
        *_FILTERED,
        e.DemandTooLong,
        e.OtherLanguage,
        e.UnknownUsers,
        e.NoSeeds,
        e.ContradictingSeeds,
        e.AudienceTooLarge,
    ),
    tags=["audiences"],
)
def lookalike(asked: LookalikeRequest, desk: TheDesk) -> Any:
    """The users who are like the positive seeds and unlike the negative ones."""
    return desk.lookalike(asked.positives, negatives=asked.negatives, question=asked.question(), size=asked.size)


@router.get(
    "/v1/users/{user_id:path}/features",
    response_model=FeaturesMessage,
    responses=documented(*_UNREADY, e.UserWithoutFeatures, e.FeaturesMissing),
    tags=["users"],
)
def features(user_id: Annotated[str, Path(min_length=1, max_length=256)], desk: TheDesk) -> Any:
    """What the online store knows of a user."""
    return {"user_id": user_id, "features": desk.features_of(user_id), **_versions(desk.ready().publication)}


@router.get("/healthz", response_model=AliveMessage, tags=["server"])
def alive(request: Request) -> Any:
    """The process answers."""
    return {"status": "alive", "instance": request.app.state.instance}


@router.get("/readyz", response_model=ReadyMessage, responses=documented(*_UNREADY), tags=["server"])
def ready(desk: TheDesk) -> Any:
    """An index is published and the model that made it is loaded."""
    return {"status": "ready", **_versions(desk.ready().publication)}


@router.post(
    "/v1/admin/publish",
    response_model=PublishedMessage,
    responses=documented(e.AdminDisabled, e.Unauthorized, e.PublicationRefused),
    dependencies=[Depends(require_admin)],
    tags=["admin"],
)
def publish(asked: PublishRequest, desk: TheDesk) -> Any:
    """Brings the index to a day's embeddings: the change of a night, or a new model behind the alias."""
    done = desk.publish(asked.ds)
    return {
        "message": str(done),
        "users": done.users,
        "written": done.written,
        "deleted": done.deleted,
        **_versions(done),
    }


@router.post(
    "/v1/admin/rollback",
    response_model=RolledBackMessage,
    responses=documented(e.AdminDisabled, e.Unauthorized, e.NothingToRollBack),
    dependencies=[Depends(require_admin)],
    tags=["admin"],
)
def rollback(desk: TheDesk) -> Any:
    """Points the alias back to the previous model's collection."""
    previous = desk.rollback()
    return {"message": f"{previous.collection} is served again", **_versions(previous)}


def _versions(publication: Publication | Published) -> dict[str, Any]:
    names = ("model_version", "collection", "ds", "template_version")
    return {name: getattr(publication, name) for name in names}
