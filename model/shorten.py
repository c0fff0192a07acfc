"""`python -m model.shorten --size 128`: the model in service with shorter vectors, without training."""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from model import pointers
from model.found import FoundModel
from model.records import RECORD, write_record


def shorten(models: Path, size: int) -> str:
    """Puts the model in service again with vectors of `size` features, 0 for all; returns its version.

    The weights stay the same and whole, so any size may follow any other. Raises FoundError for a size that is none of
    the recipe's prefixes.
    """
    folder = pointers.current(models, missing="train one with `torchrun -m model.train --stage 1`, then `--stage 2`")
    model = FoundModel.from_pretrained(folder)
    recipe = replace(model.recipe, served=size)
    shorter = FoundModel(recipe, model.vocabulary, model.text.space, metadata=model.metadata)
    shorter.load_own_state(model.own_state(), str(folder))
    version = shorter.save_pretrained(models)
    record = json.loads((folder / RECORD).read_text())
    write_record(models / version, record | {"version": version, "recipe": recipe.to_dict()})
    pointers.set_current(models, version)
    return version


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.shorten", description=__doc__)
    parser.add_argument("--size", type=int, required=True, help="one of the recipe's prefixes, or 0 for all features")
    parser.add_argument("--workdir")
    given = parser.parse_args()
    try:
        models = read_settings(os.environ, Path.cwd()).with_arguments(vars(given)).work.models
        print(f"model {shorten(models, given.size)} in {models}: embed the users with it, then publish", flush=True)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
