"""What the page asks beside the routes of the API: what this lake offers, and where users lie on a map."""

from itertools import islice
from typing import Any

from fastapi import APIRouter

from serving import errors as e
from serving.access.anonymity import refuse_lists
from serving.access.guard import TheCaller
from serving.api import TheDesk
from serving.audiences import errors as a
from serving.audiences.parameters import Id, TheAudiences
from serving.desk import Desk
from serving.messages import TargetRequest
from serving.page.answers import ExamplesMessage, LitMessage, MapMessage
from serving.page.examples import offer_of
from serving.page.once import Once
from serving.page.projection import MOST_LIT, map_of, placed
from serving.problems import documented
from serving.targeting import Targeting

_offers, _maps = Once(offer_of), Once(map_of)

router = APIRouter(tags=["page"])


@router.get("/v1/examples", response_model=ExamplesMessage, responses=documented(*e.UNREADY))
def examples(desk: TheDesk) -> Any:
    """Sentences that this lake offers to begin with, and the columns to filter by."""
    targeting = desk.ready()
    return vars(_offers.of(desk, targeting)) | targeting.publication.versions


@router.get("/v1/map", response_model=MapMessage, responses=documented(*e.UNREADY))
def user_map(desk: TheDesk) -> Any:
    """A random sample of the users in two dimensions: those close to each other did similar things."""
    targeting = desk.ready()
    drawing = _maps.of(desk, targeting)
    told = {"points": drawing.points, "explained": drawing.explained, "users": drawing.users}
    return told | targeting.publication.versions


@router.post("/v1/map", response_model=LitMessage, responses=documented(*e.UNREADY, *e.MISREAD, *e.FILTERED))
def light(asked: TargetRequest, desk: TheDesk, caller: TheCaller) -> Any:
    """Where the first members of such an audience lie on the map, best first; never more than 500."""
    refuse_lists(caller, asked.exclude_users)
    targeting = desk.ready()
    size = min(asked.size, MOST_LIT)
    found = desk.target(asked.question(), by=targeting, size=size, minimum_probability=asked.minimum_probability)
    return _lit(desk, targeting, [user.user_id for user in found.users], len(found.users))


@router.get(
    "/v1/audiences/{audience_id}/map",
    response_model=LitMessage,
    responses=documented(*e.UNREADY, a.AudienceMissing, a.AudienceNotReady),
)
def stored(audience_id: Id, desk: TheDesk, audiences: TheAudiences) -> Any:
    """Where the first members of a stored audience lie on today's map, best first; never more than 500."""
    audience = audiences.ready(audience_id)
    members = (member.user_id for page in audiences.store.members(audience.id) for _, member in page)
    return _lit(desk, desk.ready(), list(islice(members, MOST_LIT)), audience.size)


def _lit(desk: Desk, targeting: Targeting, users: list[str], size: int) -> dict[str, Any]:
    points = placed(targeting, _maps.of(desk, targeting), users)
    return {"points": points, "size": size, **targeting.publication.versions}
