"""`python -m model.lurm.cluster fit|assign`: the distinct texts as interests, or new texts into those there are."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import read_settings
from model import pointers
from model.lurm.interests import Interests, fit, read_interest_of_text, write_interest_of_text
from model.recipes import recipe as recipe_by_name
from model.text_cache import CachedEncoder, TextTable
from model.text_encoder import TextEncoder

CLUSTERS = 10_000


def cluster_texts(work: Workdir, encoder: CachedEncoder, *, clusters: int, seed: int) -> Interests:
    """Clusters the texts of WORKDIR/interests/texts; the new version is the current one."""
    table = _encoded(work, encoder)
    interests = fit(table.vectors[1:], clusters=clusters, seed=seed, encoder=encoder.cache.folder.name)
    folder = interests.save(work.interest_clusters)
    _assign(folder, interests, table)
    pointers.set_current(work.interest_clusters, interests.version)
    return interests


def assign_texts(work: Workdir, encoder: CachedEncoder) -> int:
    """Gives every text of WORKDIR/interests/texts the nearest of the current interests; returns how many were new.

    A text keeps the interest that it has. Raises FoundError where another encoder made the interests.
    """
    folder = current_interests(work)
    interests = Interests.load(folder)
    if interests.encoder != encoder.cache.folder.name:
        raise FoundError(
            f"the interests in {folder} were made by the encoder {interests.encoder}, this one is "
            f"{encoder.cache.folder.name}: use the same --encoder, or run `python -m model.lurm.cluster fit` again."
        )
    return _assign(folder, interests, _encoded(work, encoder))


def current_interests(work: Workdir) -> Path:
    """The folder of the current interests."""
    return pointers.current(work.interest_clusters, missing="run `python -m model.lurm.cluster fit` first")


def _encoded(work: Workdir, encoder: CachedEncoder) -> TextTable:
    if not work.interest_texts.exists():
        raise FoundError(f"no texts in {work.interest_texts}: run spark_jobs/build_interests.py texts first.")
    table = pq.read_table(str(work.interest_texts), columns=["text_key", "text"])
    return encoder.table(table["text_key"].to_numpy(), table["text"].to_pylist())


def _assign(folder: Path, interests: Interests, table: TextTable) -> int:
    known = read_interest_of_text(folder)
    new = ~np.isin(table.keys, np.fromiter(known, np.int64))
    nearest = interests.of(table.vectors[1:][new])
    write_interest_of_text(folder, known | dict(zip(table.keys[new].tolist(), nearest.tolist(), strict=True)))
    return int(new.sum())


def main() -> None:
    given = _arguments()
    settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
    try:
        recipe = recipe_by_name(settings.recipe, encoder=settings.encoder)
        encoder = CachedEncoder(settings.work.text_cache, TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens))
        if given.what == "fit":
            interests = cluster_texts(settings.work, encoder, clusters=given.clusters, seed=given.seed)
            print(f"interests: {len(interests)} of version {interests.version}", flush=True)
        else:
            print(f"interests: {assign_texts(settings.work, encoder)} new texts assigned", flush=True)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.lurm.cluster", description=__doc__)
    parser.add_argument("what", choices=("fit", "assign"))
    parser.add_argument("--clusters", type=int, default=CLUSTERS, help="fit: at most so many; default %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workdir")
    parser.add_argument("--encoder", help="Hugging Face id or folder of the text encoder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
