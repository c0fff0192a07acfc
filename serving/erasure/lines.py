"""One user out of files of text: masked in logs, line by line out of lists."""

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path

from serving.erasure.person import Person
from serving.erasure.search import USER

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
    """Exports and the like below the work directory without the lines about the user; returns how many went.

    A line is about its `user_id`, where it has one, else about every id in it.
    """
    return sum(_unlisted(person, path) for path in paths if path.suffix in LISTS)


def _unlisted(person: Person, path: Path) -> int:
    draft, gone = path.with_name(f".{path.name}.erasing"), 0
    with path.open("rb") as source, draft.open("wb") as target:
        header = next(csv.reader([_text(source.readline())]), []) if path.suffix == ".csv" else []
        source.seek(0)
        for line in source:
            if _is_about(person, line, header):
                gone += 1
            else:
                target.write(line)
    if gone:
        os.replace(draft, path)
    else:
        draft.unlink()
    return gone


def _is_about(person: Person, line: bytes, header: list[str]) -> bool:
    named = _user_of(line, header)
    return person.in_bytes(line) if named is None else named == person.user_id


def _user_of(line: bytes, header: list[str]) -> str | None:
    """The user id of a line of CSV or JSON; None where it has none."""
    if USER in header:
        fields = next(csv.reader([_text(line)]), [])
        return fields[header.index(USER)] if len(fields) == len(header) else None
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return str(told[USER]) if isinstance(told, dict) and USER in told else None


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")
