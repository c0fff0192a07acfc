"""The route of seed files: what is in one, to be sent on."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from serving.audiences import errors as a
from serving.audiences.answers import SeedsMessage
from serving.audiences.formats import FILE, MEDIA_TYPES
from serving.audiences.seed_files import MOST_BYTES, USER_ID, read_seed_file
from serving.problems import documented

router = APIRouter(tags=["stored audiences"])


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
        "requestBody": {"required": True, "content": dict.fromkeys(("text/csv", MEDIA_TYPES["parquet"]), FILE)}
    },
)
def parse_seeds(
    content: Annotated[bytes, Depends(_content)],
    column: Annotated[str, Query(min_length=1, max_length=256, description="the column of the ids")] = USER_ID,
) -> Any:
    """The seeds in a CSV or Parquet file, to be sent on as positives and negatives."""
    return read_seed_file(content, column=column)
