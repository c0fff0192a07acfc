"""The routes of stored audiences."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from serving import errors as e
from serving.access.anonymity import overlap_for, stored_for
from serving.access.audit import note
from serving.access.guard import TheCaller, tenant_of
from serving.audiences import errors as a
from serving.audiences.answers import (
    AudiencePage,
    ComparedMessage,
    DeletedMessage,
    ExportList,
    ExportMessage,
    Format,
    SeedNote,
    SeedsMessage,
    Status,
    StoredAudienceMessage,
)
from serving.audiences.exports import Export
from serving.audiences.formats import MEDIA_TYPES, version_headers
from serving.audiences.messages import Compare as CompareRequest
from serving.audiences.messages import CreateAudience, CreateExport, CreateLookalike, Rename, message_of
from serving.audiences.records import FAILED, UNFINISHED, StoredAudience
from serving.audiences.seed_files import MOST_BYTES, USER_ID, read_seed_file
from serving.audiences.service import Audiences
from serving.problems import documented, problem_response

MOST_PER_PAGE = 100
LONGEST_WAIT_SECONDS = 60.0
_UNREADY = (e.IndexMissing, e.ModelMissing, e.VersionsDisagree, e.IndexUnreachable)
_QUESTION = (e.EmptyDemand, e.DemandTooLong, e.OtherLanguage, e.InvalidConditions)
_FILTERED = (e.AudienceTooSmall, e.UnknownFilterField, e.DeniedFilter, e.InvalidFilter, e.Misconfigured)
_SEEDS = (e.UnknownUsers, e.NoSeeds, e.ContradictingSeeds, e.AudienceTooLarge, a.UnknownTexts)
_FILE = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(tags=["stored audiences"])


def _audiences(request: Request) -> Audiences:
    return tenant_of(request).audiences


TheAudiences = Annotated[Audiences, Depends(_audiences)]
Id = Annotated[str, Path(min_length=1, max_length=64)]
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=255, description="repeat a request with it, and nothing is made twice")
]
Wait = Annotated[
    float,
    Query(ge=0.0, le=LONGEST_WAIT_SECONDS, description="how long to wait for it; an audience not made by then is 202"),
]


@router.post(
    "/v1/audiences",
    response_model=StoredAudienceMessage,
    responses={
        202: {"model": StoredAudienceMessage, "description": "still queued or running: ask again by its id"},
        **documented(*_UNREADY, *_QUESTION, *_FILTERED, *_SEEDS, a.IdempotencyConflict, a.QueueFull),
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
    found = audiences.store.page(limit=limit + 1, before=_number(cursor) if cursor else None, status=status)
    shown, more = found[:limit], len(found) > limit
    following = _cursor(shown[-1].number) if more else None
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
            "content": {kind.partition(";")[0]: _FILE for kind in MEDIA_TYPES.values()},
            "description": "the members",
        },
        **documented(a.AudienceMissing, a.AudienceNotReady),
    },
)
def members(audience_id: Id, audiences: TheAudiences, format: Format = "csv") -> StreamingResponse:
    """Rank, user_id, score, probability of the members, best first, without the hold-out; headers tell the versions."""
    audience = audiences.ready(audience_id)
    note(audience.versions, size=audience.size - audience.held_out)
    attachment = {"Content-Disposition": f'attachment; filename="{audience.id}.{format}"'}
    headers = version_headers(audience.versions) | attachment
    return StreamingResponse(audiences.stream(audience, format), media_type=MEDIA_TYPES[format], headers=headers)


@router.post(
    "/v1/audiences:compare",
    response_model=ComparedMessage,
    responses=documented(a.AudienceMissing, a.AudienceNotReady),
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


@router.post(
    "/v1/audiences/{audience_id}/exports",
    response_model=ExportMessage,
    responses=documented(a.AudienceMissing, a.AudienceNotReady, a.ExportsDisabled, a.ExportHostRefused, a.QueueFull),
)
def export(audience_id: Id, asked: CreateExport, audiences: TheAudiences) -> Any:
    """Posts the members to an allowed https address, signed; GET shows how it went."""
    audience, made = audiences.export(audience_id, url=asked.url, format=asked.format)
    note(audience.versions, size=audience.size - audience.held_out)
    return _export(made, audience)


@router.get("/v1/audiences/{audience_id}/exports", response_model=ExportList, responses=documented(a.AudienceMissing))
def exports(audience_id: Id, audiences: TheAudiences) -> Any:
    """The exports of an audience, the newest first."""
    audience = audiences.store.get(audience_id)
    return {"data": [_export(made, audience) for made in audiences.exports.of(audience_id)]}


async def _content(request: Request) -> bytes:
    """The body, read no further than is allowed."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise a.SeedFileTooLarge(f"a seed file has at most {MOST_BYTES >> 20} MiB.")
    return bytes(content)


@router.post(
    "/v1/seeds:parse",
    response_model=SeedsMessage,
    responses=documented(a.InvalidSeedFile, a.SeedFileTooLarge),
    openapi_extra={
        "requestBody": {"required": True, "content": dict.fromkeys(("text/csv", MEDIA_TYPES["parquet"]), _FILE)}
    },
)
def parse_seeds(
    content: Annotated[bytes, Depends(_content)],
    column: Annotated[str, Query(min_length=1, max_length=256, description="the column of the ids")] = USER_ID,
) -> Any:
    """The seeds in a CSV or Parquet file, to be sent on as positives and negatives."""
    return read_seed_file(content, column=column)


def _told(audiences: Audiences, stored: StoredAudience) -> StoredAudienceMessage:
    given = audiences.store.given_users(stored.id) if stored.diagnostics else []
    return message_of(stored, [SeedNote(user_id=user.user_id, note=user.note) for user in given if user.note])


def _export(made: Export, audience: StoredAudience) -> dict[str, Any]:
    return {**vars(made), **audience.versions}


def _failed(request: Request, error: dict[str, Any]) -> JSONResponse:
    told = {name: error[name] for name in ("status", "code", "detail", "hint")}
    return problem_response(request, **told)


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def _number(cursor: str) -> int:
    try:
        told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise a.InvalidCursor(f"{cursor!r} is no cursor.") from error
    if not told.isdecimal() or len(told) > 18:
        raise a.InvalidCursor(f"{cursor!r} is no cursor.")
    return int(told)
