"""The routes of exports: who may receive audiences, what was sent, and how it went."""

from typing import Any

from fastapi import APIRouter

from serving.access.audit import note
from serving.audiences import errors as a
from serving.audiences.answers import ExportList, ExportMessage, ReceiversMessage
from serving.audiences.exports import Export
from serving.audiences.messages import CreateExport
from serving.audiences.parameters import Id, TheAudiences
from serving.audiences.records import StoredAudience
from serving.problems import documented

router = APIRouter(tags=["exports"])


@router.post(
    "/v1/audiences/{audience_id}/exports",
    response_model=ExportMessage,
    responses=documented(
        a.AudienceMissing,
        a.AudienceNotReady,
        a.ExportsDisabled,
        a.ExportHostRefused,
        a.ExportAddressRefused,
        a.QueueFull,
    ),
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


@router.get("/v1/receivers", response_model=ReceiversMessage, responses=documented())
def receivers(audiences: TheAudiences) -> Any:
    """Whether this server sends exports, and to which hosts."""
    return {"enabled": audiences.receivers.enabled, "hosts": audiences.receivers.hosts}


def _export(made: Export, audience: StoredAudience) -> dict[str, Any]:
    return {**vars(made), **audience.versions}
