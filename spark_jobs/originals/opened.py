"""A downloaded original, opened: a folder, a zip or one file, whose files are asked for by name."""

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession

from feature_repo.contracts.errors import FoundError

_WORKBOOKS = (".xls", ".xlsx")
_NOT_DATA = ("__MACOSX", ".")
"""What archives and folders hold beside the data: names that begin so."""


@dataclass(frozen=True)
class Original:
    """The opened download at `path`; what it holds packed is unpacked into `scratch`, file by file."""

    spark: SparkSession
    path: Path
    scratch: Path
    day_one: date | None = None
    """The date of day 1, for an original that counts days."""

    def file(self, *names: str) -> Path:
        """The file of one of these names. Raises FoundError where there is none, or several equally near."""
        if found := self.optional(*names):
            return found
        raise FoundError(
            f"{self.path} must hold {' or '.join(names)}, found {_listed(self._members())}. "
            "Give the folder or the zip as its source publishes it."
        )

    def optional(self, *names: str) -> Path | None:
        """The same, or None; an earlier name wins, then the one nearest to the top. Case does not matter."""
        for name in names:
            matching = [m for m in self._members() if m.name.lower() == name.lower()]
            nearest = [m for m in matching if len(m.parts) == min(len(other.parts) for other in matching)]
            if len(nearest) > 1:
                raise FoundError(
                    f"{self.path} must hold one {name}, found {_listed(nearest)}. Give the folder that holds the one."
                )
            if nearest:
                return self._unpacked(nearest[0])
        return None

    def csv_files(self, *, convert: str) -> list[Path]:
        """Every csv file, by name. Raises FoundError where there is none; `convert` says how to make it."""
        members = self._members()
        if found := [m for m in members if m.suffix.lower() == ".csv"]:
            return [self._unpacked(member) for member in found]
        workbooks = [m for m in members if m.suffix.lower() in _WORKBOOKS]
        remedy = convert if workbooks else "Give the csv file, or the folder or zip that holds it."
        raise FoundError(f"{self.path} must be or hold csv, found {_listed(workbooks or members)}. {remedy}")

    def _members(self) -> list[PurePosixPath]:
        return sorted(m for m in self._all() if not any(part.startswith(_NOT_DATA) for part in m.parts))

    def _all(self) -> Iterator[PurePosixPath]:
        if self.path.is_dir():
            yield from (PurePosixPath(p.relative_to(self.path)) for p in self.path.rglob("*") if p.is_file())
        elif _packed(self.path):
            with zipfile.ZipFile(self.path) as archive:
                yield from (PurePosixPath(i.filename) for i in archive.infolist() if not i.is_dir())
        else:
            yield PurePosixPath(self.path.name)

    def _unpacked(self, member: PurePosixPath) -> Path:
        if self.path.is_dir():
            return self.path / member
        if not _packed(self.path):
            return self.path
        target = self.scratch / hashlib.sha256(str(member).encode()).hexdigest()[:8] / member.name
        if not target.exists():
            target.parent.mkdir(parents=True)
            _unpack(self.path, member, target)
        return target


@contextmanager
def opened(spark: SparkSession, path: Path, day_one: date | None = None) -> Iterator[Original]:
    """The original at `path`; what was unpacked is removed at the end. Raises FoundError where nothing is there."""
    if not path.exists():
        raise FoundError(f"the original must be a file or folder, found nothing at {path}. Download it first.")
    if path.suffix.lower() == ".zip" and not _packed(path):
        raise FoundError(f"{path} is no zip file, or a broken one. Download it again.")
    with TemporaryDirectory(prefix="found-original-") as scratch:
        yield Original(spark, path, Path(scratch), day_one)


def checksum_warning(path: Path, published: Mapping[str, str]) -> str:
    """What to tell of a file whose MD5 is not the one that its source publishes for this name; else ''."""
    expected = published.get(path.name)
    if not expected or not path.is_file():
        return ""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found == expected:
        return ""
    return (
        f"warning: {path.name} has the MD5 {found}, its source publishes {expected}: another version, or a damaged "
        "download. It is imported as it is."
    )


def _packed(path: Path) -> bool:
    """A workbook is a zip too, but not one of files to read."""
    return path.is_file() and path.suffix.lower() not in _WORKBOOKS and zipfile.is_zipfile(path)


def _unpack(path: Path, member: PurePosixPath, target: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(str(member)) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise FoundError(f"{member} in {path} cannot be unpacked: {error}. Download it again, or unpack it.") from error


def _listed(members: Sequence[PurePosixPath]) -> str:
    shown = ", ".join(map(str, members[:8])) or "nothing"
    return f"{shown} and {len(members) - 8} more" if len(members) > 8 else shown
