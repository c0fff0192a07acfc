"""Lists of users as files."""

from pathlib import Path

from feature_repo.contracts.errors import FoundError


def read_user_list(path: Path) -> tuple[str, ...]:
    """One user id a line; empty lines and a byte-order mark are none.

    Raises FoundError for a file that cannot be read as text."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise FoundError(f"{path} must be a text file with one user id a line, it cannot be read: {error}.") from error
    return tuple(line.strip() for line in lines if line.strip())
