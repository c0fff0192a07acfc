"""t-SNE pictures of user embeddings (figures 3 and 4 of the paper): computed once, kept as small JSON files of points.

Shape suffixes: N rows, D embedding width.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feature_repo.contracts.errors import FoundError
from model.evaluation.bootstrap import generator
from model.evaluation.files import write_atomically

LIMIT = 2_000
"""Rows of a picture; t-SNE of more takes minutes."""
SIDE = 1_000
"""Points are whole numbers from 0 to SIDE on both axes."""
LEAST = 8
MOST_GROUPS = 7
"""A quiet background and six colours; marks need none."""
PERPLEXITY = 30.0


@dataclass(frozen=True)
class Picture:
    """Points by group, the background first. Groups of `marks` are few points that are named in the picture: the
    demand before and after few-shot learning."""

    title: str
    note: str
    groups: Mapping[str, list[list[int]]]
    marks: tuple[str, ...] = ()


def picture(
    name: str,
    groups: Mapping[str, "np.ndarray"],
    *,
    title: str,
    note: str = "",
    marks: tuple[str, ...] = (),
    limit: int = LIMIT,
) -> Picture:
    """All groups (name: rows of embeddings) in one t-SNE plane. Past `limit` rows each group but the marks gives an
    equal share, drawn by the picture's name.

    Raises FoundError for fewer than 8 rows, rows of unequal width, a value that is not finite, more than 7 groups
    beside the marks.
    """
    _refuse(name, groups, len(groups) - len(marks))
    chosen = _sample(name, groups, marks, limit)
    plane_N2 = _project(np.concatenate(list(chosen.values())))
    ends = np.cumsum([len(rows) for rows in chosen.values()])[:-1]
    parts = np.split(plane_N2, ends)
    return Picture(title, note, {key: part.tolist() for key, part in zip(chosen, parts, strict=True)}, marks)


def write_picture(path: Path, drawn: Picture) -> None:
    write_atomically(path, json.dumps(asdict(drawn)) + "\n")


def read_pictures(folder: Path) -> list[Picture]:
    """Those of a folder, by file name; none where there is no folder."""
    return [_read(path) for path in sorted(folder.glob("[!.]*.json"))]


def _read(path: Path) -> Picture:
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        return Picture(**told | {"marks": tuple(told["marks"])})
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise FoundError(f"{path} holds no picture ({error!r}): delete it and draw it again.") from error


def _refuse(name: str, groups: Mapping[str, "np.ndarray"], colours: int) -> None:
    widths = {rows.shape[1:] for rows in groups.values()}
    count = sum(len(rows) for rows in groups.values())
    if count < LEAST or len(widths) > 1:
        raise FoundError(
            f"picture {name!r}: at least {LEAST} embeddings of one width were expected, found {count} of the widths "
            f"{sorted(widths)}. Give it more users of one model."
        )
    if colours > MOST_GROUPS:
        raise FoundError(
            f"picture {name!r}: at most {MOST_GROUPS} groups can be told apart, found {colours}: join some."
        )
    if broken := [key for key, rows in groups.items() if not np.isfinite(rows).all()]:
        raise FoundError(f"picture {name!r}: the embeddings of {broken} hold values that are not finite.")


def _sample(
    name: str, groups: Mapping[str, "np.ndarray"], marks: tuple[str, ...], limit: int
) -> dict[str, "np.ndarray"]:
    if sum(len(rows) for rows in groups.values()) <= limit:
        return dict(groups)
    rng = generator(name)
    share = (limit - sum(len(groups[mark]) for mark in marks)) // (len(groups) - len(marks))
    return {
        key: rows if key in marks else rows[np.sort(rng.permutation(len(rows))[:share])] for key, rows in groups.items()
    }


def _project(row_ND: "np.ndarray") -> "np.ndarray":
    from sklearn.manifold import TSNE  # a second to import, for pictures alone

    perplexity = min(PERPLEXITY, (len(row_ND) - 1) / 3)
    plane_N2 = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(row_ND.astype(np.float64))
    low, high = plane_N2.min(axis=0), plane_N2.max(axis=0)
    return np.rint((plane_N2 - low) / max(float((high - low).max()), 1e-12) * SIDE).astype(int)
