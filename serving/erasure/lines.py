"""One user out of files of text: masked in logs, line by line out of lists."""

import os
from collections.abc import Iterable
from pathlib import Path

from serving.erasure.person import Person

LOGS = (".log", ".out", ".err", ".txt")
LISTS = (".csv", ".jsonl")
_MASK = b"*"


def mask(person: Person, paths: Iterable[Path]) -> int:
    """Writes over the id wherever a log has it, in place and in its own length: a process may be writing to the file.
    Returns how often."""
    return sum(_masked(person, path) for path in paths if path.suffix in LOGS)


def _masked(person: Person, path: Path) -> int:
    places, at = list[tuple[int, int]](), 0
    with path.open("rb") as file:
        for line in file if person.is_findable else ():
            places += [(at + found.start(), at + found.end()) for found in person.pattern.finditer(line)]
            at += len(line)
    if places:
        with path.open("r+b") as file:
            for start, end in places:
                file.seek(start)
                file.write(_MASK * (end - start))
    return len(places)


def unlist(person: Person, paths: Iterable[Path]) -> int:
    """Exports and the like below the work directory without the lines that name the user; returns how many went."""
    return sum(_unlisted(person, path) for path in paths if path.suffix in LISTS)


def _unlisted(person: Person, path: Path) -> int:
    if not person.is_findable:
        return 0
    draft, gone = path.with_name(f".{path.name}.erasing"), 0
    with path.open("rb") as source, draft.open("wb") as target:
        for line in source:
            if person.pattern.search(line):
                gone += 1
            else:
                target.write(line)
    if gone:
        os.replace(draft, path)
    else:
        draft.unlink()
    return gone
