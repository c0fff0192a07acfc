"""The user who is erased, as files may spell the id."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from feature_repo.contracts.templates import text_key
from serving.errors import InvalidRequest
from serving.rows import LONGEST_ID

SHORTEST_IN_BYTES = 4
"""A shorter id occurs in any file by chance: it is looked for where values are known as values."""
_UNMISTAKABLE = 16
"""An id of so many bytes is nothing else's part."""


@dataclass(frozen=True)
class Person:
    """Raises InvalidRequest for what is no id."""

    user_id: str

    def __post_init__(self) -> None:
        try:
            length = len(self.user_id.encode())
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"a user id must be text in UTF-8: {error.reason}.") from error
        if not self.user_id.strip() or length > LONGEST_ID:
            raise InvalidRequest(f"a user id must have 1 to {LONGEST_ID} bytes and not be blank, found {length}.")

    @cached_property
    def key(self) -> int:
        """What stands for the user in training pairs."""
        return text_key(self.user_id)

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """The id in bytes: as it is, as JSON or a web address writes it, and not as a part of another id or number."""
        spelled = {self.user_id, json.dumps(self.user_id)[1:-1], quote(self.user_id), quote(self.user_id, safe="")}
        either = b"|".join(re.escape(each.encode()) for each in sorted(spelled, key=len, reverse=True))
        if len(self.user_id.encode()) >= _UNMISTAKABLE:
            return re.compile(either)
        return re.compile(rb"(?<![0-9A-Za-z_-])(?<![0-9]\.)(?:" + either + rb")(?![0-9A-Za-z_-])(?!\.[0-9])")

    @property
    def is_findable(self) -> bool:
        """Do bytes tell whether a file holds the id?"""
        return len(self.user_id.encode()) >= SHORTEST_IN_BYTES

    def in_bytes(self, data: bytes) -> bool:
        return self.is_findable and self.pattern.search(data) is not None

    def in_text(self, text: str) -> bool:
        return text == self.user_id or self.in_bytes(text.encode("utf-8", "surrogatepass"))
