"""What the routes of stored audiences are asked with: whose audiences, which one, from where, how long to wait."""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from serving.access.guard import tenant_of
from serving.audiences.errors import InvalidCursor
from serving.audiences.service import Audiences

LONGEST_WAIT_SECONDS = 60.0


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


def cursor_of(number: int) -> str:
    """Where the page after the audience of this number begins."""
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def number_of(cursor: str) -> int:
    """Raises InvalidCursor for what `cursor_of` never gave."""
    try:
        told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor(f"{cursor!r} is no cursor.") from error
    if not told.isdecimal() or len(told) > 18:
        raise InvalidCursor(f"{cursor!r} is no cursor.")
    return int(told)
