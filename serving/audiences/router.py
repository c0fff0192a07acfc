"""The routes of stored audiences."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from serving import errors as e
from serving.access.anonymity import overlap_for, stored_for
from serving.access.audit import note
from serving.access.guard import TheCaller
from serving.audiences import errors as a
from serving.audiences.answers import (
    AudiencePage,
    ComparedMessage,
    DeletedMessage,
    ExplainedMembers,
    Format,
    SeedNote,
    Status,
    StoredAudienceMessage,
)
from serving.audiences.formats import FILE, MEDIA_TYPES, version_headers
from serving.audiences.messages import Compare as CompareRequest
from serving.audiences.messages import CreateAudience, CreateLookalike, Rename, message_of
from serving.audiences.parameters import Id, IdempotencyKey, TheAudiences, Wait, cursor_of, number_of
from serving.audiences.records import FAILED, UNFINISHED, StoredAudience
from serving.audiences.service import Audiences
from serving.problems import documented, problem_response
from serving.question import MOST_EXPLAINED

MOST_PER_PAGE = 100
_MISSING = (a.AudienceMissing, a.AudienceNotReady)
_SEEDS = (e.UnknownUsers, e.NoSeeds, e.ContradictingSeeds, e.AudienceTooLarge, a.UnknownTexts)

router = APIRouter(tags=["stored audiences"])


@router.post(
    "/v1/audiences",
    response_model=StoredAudienceMessage,
    responses={
        202: {"model": StoredAudienceMessage, "description": "still queued or running: ask again by its id"},
        **documented(*e.UNREADY, *e.MISREAD, *e.FILTERED, *_SEEDS, a.IdempotencyConflict, a.QueueFull),
    },
)
def create(
    asked: CreateAudience,
    request: Request,
    response: Response,
    audiences: TheAudiences,
    idempotency_key: IdempotencyKey = None,
    wait_seconds: Wait = 30.0,
) -> Any:
    """Makes an audience from a sentence or from seeds, and keeps it with what was predicted."""
    kind = "lookalike" if isinstance(asked, CreateLookalike) else "target"
    stored, fresh = audiences.create(asked.audience(kind, idempotency_key), wait_seconds=wait_seconds)
    note(audience=stored.id, size=stored.size, **stored.versions)
    if stored.status == FAILED and stored.error:
        return _failed(request, stored.error)
    if stored.status in UNFINISHED:
        response.status_code = 202
    if not fresh:
        response.headers["Idempotent-Replayed"] = "true"
    return _told(audiences, stored)


@router.get("/v1/audiences", response_model=AudiencePage, responses=documented(a.InvalidCursor))
def page(
    audiences: TheAudiences,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before")] = None,
    status: Status | None = None,
) -> Any:
    """The audiences, the newest first. Those made meanwhile do not shift the pages."""
    found = audiences.store.page(limit=limit + 1, before=number_of(cursor) if cursor else None, status=status)
    shown, more = found[:limit], len(found) > limit
    following = cursor_of(shown[-1].number) if more else None
    return {
        "data": [stored_for(caller, _told(audiences, stored)) for stored in shown],
        "has_more": more,
        "next_cursor": following,
    }


@router.get(
    "/v1/audiences/{audience_id}", response_model=StoredAudienceMessage, responses=documented(a.AudienceMissing)
)
def get(audience_id: Id, audiences: TheAudiences, caller: TheCaller) -> Any:
    """An audience without its members: status, promise, diagnostics, backtest."""
    return stored_for(caller, _told(audiences, audiences.store.get(audience_id)))


@router.patch(
    "/v1/audiences/{audience_id}", response_model=StoredAudienceMessage, responses=documented(a.AudienceMissing)
)
def rename(audience_id: Id, asked: Rename, audiences: TheAudiences) -> Any:
    """Gives an audience another name."""
    return _told(audiences, audiences.store.rename(audience_id, asked.name))


@router.delete("/v1/audiences/{audience_id}", response_model=DeletedMessage, responses=documented(a.AudienceMissing))
def delete(audience_id: Id, audiences: TheAudiences) -> Any:
    """Removes an audience with its members, seeds and exports."""
    gone = audiences.store.delete(audience_id)
    note(gone.versions, size=gone.size)
    return {"id": gone.id, "deleted": True, **gone.versions}


@router.post(
    "/v1/audiences/{audience_id}:cancel",
    response_model=StoredAudienceMessage,
    responses=documented(a.AudienceMissing, a.AudienceFinished),
)
def cancel(audience_id: Id, audiences: TheAudiences) -> Any:
    """Stops the making of an audience that is queued or running."""
    return _told(audiences, audiences.cancel(audience_id))


@router.get(
    "/v1/audiences/{audience_id}/members",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {kind.partition(";")[0]: FILE for kind in MEDIA_TYPES.values()},
            "description": "the members",
        },
        **documented(*_MISSING),
    },
)
def members(audience_id: Id, audiences: TheAudiences, format: Format = "csv") -> StreamingResponse:
    """Rank, user_id, score, probability of the members, best first, without the hold-out; headers tell the versions."""
    audience = audiences.ready(audience_id)
    note(audience.versions, size=audience.size - audience.held_out)
    attachment = {"Content-Disposition": f'attachment; filename="{audience.id}.{format}"'}
    headers = version_headers(audience.versions) | attachment
    return StreamingResponse(audiences.stream(audience, format), media_type=MEDIA_TYPES[format], headers=headers)


@router.get(
    "/v1/audiences/{audience_id}/reasons",
    response_model=ExplainedMembers,
    responses=documented(*e.UNREADY, *e.MISREAD, *e.FILTERED, *_SEEDS, *_MISSING, a.AudienceOutdated),
)
def reasons(
    audience_id: Id, audiences: TheAudiences, limit: Annotated[int, Query(ge=1, le=MOST_EXPLAINED)] = 10
) -> Any:
    """What moved the scores of the first members, as long as the publication that chose them answers."""
    audience = audiences.ready(audience_id)
    told = [{"user_id": user, "reasons": found} for user, found in audiences.reasons(audience, limit=limit)]
    return {"data": told, **audience.versions}


@router.post(
    "/v1/audiences:compare",
    response_model=ComparedMessage,
    responses=documented(*_MISSING),
)
def compare(asked: CompareRequest, audiences: TheAudiences, caller: TheCaller) -> Any:
    """How many users two audiences share; null where that would tell of fewer users than minimum_audience."""
    found, shared = audiences.compare(asked.audiences)
    sizes = [audience.size for audience in found]
    told = [stored_for(caller, _told(audiences, audience)) for audience in found]
    if (both := overlap_for(caller, shared, sizes)) is None:
        return {"audiences": told, "both": None, "jaccard": None, "shares": None}
    either = sum(sizes) - both
    shares = [both / size if size else 0.0 for size in sizes]
    return {"audiences": told, "both": both, "jaccard": both / either if either else 0.0, "shares": shares}


def _told(audiences: Audiences, stored: StoredAudience) -> StoredAudienceMessage:
    given = audiences.store.given_users(stored.id) if stored.diagnostics else []
    return message_of(stored, [SeedNote(user_id=user.user_id, note=user.note) for user in given if user.note])


def _failed(request: Request, error: dict[str, Any]) -> JSONResponse:
    told = {name: error[name] for name in ("status", "code", "detail", "hint")}
    return problem_response(request, **told)
