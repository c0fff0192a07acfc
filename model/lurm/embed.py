"""`python -m model.lurm.embed --ds D`: the anchors of every user, as WORKDIR/interests/anchors/ds=D.parquet.

One row per user: user_id and `anchors`, M vectors one after the other. `--space text` writes them in the space of
the text encoder's centred sentences instead, where the best anchor answers a sentence.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.windows import cutoff_instant
from model import pointers
from model.lurm.bags import BagFolder, Bags, open_bags
from model.lurm.cluster import current_interests
from model.lurm.encoder import MultiAnchorEncoder
from model.lurm.interests import Interests

BATCH_USERS = 1_024


def write_anchors(path: Path, bags: BagFolder, embed: Callable[[Bags], Tensor], told: dict[str, str]) -> int:
    """Writes the anchors of all users of the bags, replaced atomically; returns the number of users."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    schema = pa.schema({"user_id": pa.string(), "anchors": pa.list_(pa.float32())}, metadata=told)
    users = 0
    with pq.ParquetWriter(str(draft), schema) as writer:
        for part in bags.files():
            for start in range(0, len(part), BATCH_USERS):
                batch = part.of_users(np.arange(start, min(start + BATCH_USERS, len(part))))
                rows = list(embed(batch).flatten(1).numpy())
                writer.write_table(pa.table([list(batch.users), rows], schema=schema))
                users += len(batch)
    os.replace(draft, path)
    return users


@torch.no_grad()
def main() -> None:
    given = _arguments()
    settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
    try:
        work, ds = settings.work, cutoff_instant(given.ds).date()
        encoder = MultiAnchorEncoder.load(
            pointers.current(work.interest_encoder, missing="run `python -m model.lurm.train` first")
        )
        bags = open_bags(work.interest_bags(ds), interests=encoder.metadata["interests"])
        refuse_other_periods(encoder, bags)
        embed: Callable[[Bags], Tensor] = encoder
        if given.space == "text":
            interests = Interests.load(current_interests(work))
            embed = lambda batch: encoder.in_text_space(batch, interests)  # noqa: E731
        told = {"encoder": encoder.version, "anchors": str(encoder.shape.anchors), "space": given.space}
        users = write_anchors(work.interest_anchors(ds), bags, embed, told)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"anchors: {users} users as of {ds} by encoder {encoder.version}", flush=True)


def refuse_other_periods(encoder: MultiAnchorEncoder, bags: BagFolder) -> None:
    """Raises FoundError where an age of so many periods means another time than in training."""
    trained, found = encoder.metadata["period_days"], bags.manifest["period_days"]
    if trained != found:
        raise FoundError(
            f"the encoder was trained on periods of {trained} days, the bags in {bags.folder} have {found}: run "
            f"spark_jobs/build_interests.py bags --period-days {trained}."
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.lurm.embed", description=__doc__)
    parser.add_argument("--ds", required=True, help="the cut-off of the bags")
    parser.add_argument("--workdir")
    parser.add_argument("--space", choices=("own", "text"), default="own")
    return parser.parse_args()


if __name__ == "__main__":
    main()
