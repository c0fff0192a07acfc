"""The route that erases a user."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from serving import errors as e
from serving.answers import Response
from serving.api import TheDesk
from serving.problems import documented
from serving.rows import LONGEST_ID

router = APIRouter()


class PlaceMessage(Response):
    name: str
    removed: int
    unit: str
    compacted: str = Field(description="what was done so that no file keeps what was removed")


class DeliveryMessage(Response):
    id: str
    audience: str
    created_at: str
    url: str
    status: str


class ReceiptMessage(Response):
    user: str = Field(description="the block list's keyed hash of the id")
    erased_at: str
    known: bool = Field(description="the user was found somewhere")
    newly_blocked: bool
    places: list[PlaceMessage]
    calibrations_dropped: list[str] = Field(description="models that answer uncalibrated until the next training")
    delivered_exports: list[DeliveryMessage] = Field(description="what receivers have is theirs to erase")
    left: list[str] = Field(description="files of the work directory in which the id still occurs")
    source_lake: list[str] = Field(description="files of the lake that hold the user; the lake is its owner's")
    not_searched: list[str]
    suppression_list: str = Field(description="the file of suppressed users, if it names the user")


@router.delete(
    "/v1/users/{user_id:path}",
    response_model=ReceiptMessage,
    responses=documented(e.AdminDisabled, e.IndexUnreachable, e.IndexMissing, e.FeaturesMissing, e.FeaturesUnreachable),
    tags=["users"],
)
def erase(user_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)], desk: TheDesk) -> Any:
    """Removes the user from everything derived from the lake; later runs do not bring the user back."""
    return desk.erase(user_id).document()
