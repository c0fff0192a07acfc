"""The routes: what may be asked of the desk, and by whom."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from serving import errors as e
from serving.access.anonymity import preview_for, refuse_lists
from serving.access.audit import note
from serving.access.guard import TheCaller, tenant_of
from serving.access.tenants import one_ready
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
from serving.messages import ExplainedLookalike, ExplainedTarget, PublishRequest, TargetRequest
from serving.problems import documented
from serving.versions import versions_of

_NO_VERSIONS = {"model_version": "", "collection": "", "ds": "", "template_version": 0}

router = APIRouter()


def _desk(request: Request) -> Desk:
    return tenant_of(request).desk


TheDesk = Annotated[Desk, Depends(_desk)]


@router.post(
    "/v1/audiences:target",
    response_model=AudienceMessage,
    responses=documented(*e.UNREADY, *e.MISREAD, *e.FILTERED, e.AudienceTooLarge),
    tags=["audiences"],
)
def target(asked: ExplainedTarget, desk: TheDesk) -> Any:
    """The users who will most probably do what the sentence says, and how it was read."""
    likely = asked.minimum_probability
    made = desk.target(asked.question(), size=asked.size, minimum_probability=likely, explain=asked.explain)
    note(made, size=len(made.users))
    return made


@router.post(
    "/v1/audiences:preview",
    response_model=PreviewMessage,
    responses=documented(*e.UNREADY, *e.MISREAD, *e.FILTERED, e.AudienceTooLarge),
    tags=["audiences"],
)
def preview(asked: TargetRequest, desk: TheDesk, caller: TheCaller) -> Any:
    """What such an audience would be: its size, expected precision by decile, a sample, and how the demand was read."""
    refuse_lists(caller, asked.exclude_users)
    made = desk.preview(asked.question(), size=asked.size, minimum_probability=asked.minimum_probability)
    note(made.audience, size=made.size)
    return preview_for(caller, made)


@router.post(
    "/v1/audiences:lookalike",
    response_model=AudienceMessage,
    responses=documented(
        *e.UNREADY,
        *e.FILTERED,
        e.DemandTooLong,
        e.OtherLanguage,
        e.UnknownUsers,
        e.NoSeeds,
        e.ContradictingSeeds,
        e.AudienceTooLarge,
    ),
    tags=["audiences"],
)
def lookalike(asked: ExplainedLookalike, desk: TheDesk) -> Any:
    """The users who are like the positive seeds and unlike the negative ones."""
    question, explain = asked.question(), asked.explain
    made = desk.lookalike(
        asked.positives, negatives=asked.negatives, question=question, size=asked.size, explain=explain
    )
    note(made, size=len(made.users))
    return made


@router.get(
    "/v1/users/{user_id:path}/features",
    response_model=FeaturesMessage,
    responses=documented(*e.UNREADY, e.UserWithoutFeatures, e.FeaturesMissing, e.FeaturesUnreachable),
    tags=["users"],
)
def features(user_id: Annotated[str, Path(min_length=1, max_length=256)], desk: TheDesk) -> Any:
    """What the online store knows of a user."""
    versions = versions_of(desk.ready().publication)
    note(versions)
    return {"user_id": user_id, "features": desk.features_of(user_id), **versions}


@router.get("/healthz", response_model=AliveMessage, tags=["server"])
def alive(request: Request) -> Any:
    """The process answers."""
    return {"status": "alive", "instance": request.app.state.instance}


@router.get("/readyz", response_model=ReadyMessage, responses=documented(*e.UNREADY), tags=["server"])
def ready(request: Request, caller: TheCaller) -> Any:
    """An index is published and the model that made it is loaded. Who sends no key to a server that asks for keys is
    told whether any of its tenants is ready, and nothing of it."""
    tenants = request.app.state.tenants.values()
    if caller.known or not request.app.state.keys_required:
        return {"status": "ready", **versions_of(caller.tenant.desk.ready().publication)}
    one_ready(tenants)
    return {"status": "ready", **_NO_VERSIONS}


@router.post(
    "/v1/admin/publish",
    response_model=PublishedMessage,
    responses=documented(e.AdminDisabled, e.PublicationRefused),
    tags=["admin"],
)
def publish(asked: PublishRequest, desk: TheDesk) -> Any:
    """Brings the index to a day's embeddings: the change of a night, or a new model behind the alias."""
    done = desk.publish(asked.ds, force=asked.force)
    note(done, size=done.users)
    return {
        "message": str(done),
        "users": done.users,
        "written": done.written,
        "deleted": done.deleted,
        **versions_of(done),
    }


@router.post(
    "/v1/admin/rollback",
    response_model=RolledBackMessage,
    responses=documented(e.AdminDisabled, e.NothingToRollBack),
    tags=["admin"],
)
def rollback(desk: TheDesk) -> Any:
    """Points the alias back to the previous model's collection."""
    previous = desk.rollback()
    note(previous)
    return {"message": f"{previous.collection} is served again", **versions_of(previous)}
