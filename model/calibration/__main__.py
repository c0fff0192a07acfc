"""`python -m model.calibration`: calibrates the model in service, which was trained without."""

import argparse
import os
import sys
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from model import pointers
from model.calibration.learn import calibrate
from model.data import open_pairs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.calibration", description=__doc__)
    parser.add_argument("--workdir", help="whose models/CURRENT is calibrated on its pairs")
    given = parser.parse_args()
    try:
        work = read_settings(os.environ, Path.cwd()).with_arguments(vars(given)).work
        folder = pointers.current(work.models, missing="train one with `torchrun -m model.train --stage 2`")
        print(calibrate(folder, open_pairs(work.pairs), work.text_cache), flush=True)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
