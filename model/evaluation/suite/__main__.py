"""`python -m model.evaluation.suite`: every method on the scenarios of a lake that `found evaluate` has trained for."""

import argparse
import sys
from itertools import zip_longest
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from model.evaluation.report import write_report
from model.evaluation.results import read_all
from model.evaluation.suite.compute import Lake, compute, digest_folder, pending, pictures_of
from model.evaluation.suite.notes import notes_of, pending_notes, take_notes
from model.evaluation.suite.registry import STUDY_SEEDS, chosen, registry
from model.evaluation.suite.report import plan
from model.evaluation.suite.transfer import TrainLake


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.suite", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of result files; what holds is kept")
    parser.add_argument("--lake", type=Path, help="a lake's folder; without it only the report is written")
    parser.add_argument("--runs", type=Path, help="folder of one work directory per CUTOFF_HORIZONd")
    parser.add_argument("--pending", action="store_true", help="only count what is to be computed; exit 1 if anything")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", default="", help="comma-separated families, or ablations, transfer; default: all")
    parser.add_argument("--study-seeds", type=int, default=STUDY_SEEDS, help="of --seeds those of studies (default: 1)")
    parser.add_argument("--train-lakes", default="", help="comma-separated folders of other lakes to train on")
    parser.add_argument("--train-pairs", default="", help="the folders of their pairs, in the same order")
    parser.add_argument("--text", type=Path, default=Path("results.md"), help="the report in Markdown")
    parser.add_argument("--html", type=Path, default=Path("results.html"), help="the report as one page")
    given = parser.parse_args()
    try:
        if given.lake:
            lake = Lake.open(given.lake, given.runs or Path())
            asked = chosen(registry(_train_lakes(given), study_seeds=given.study_seeds), given.methods)
            if given.pending:
                missing = pending(lake, asked, given.results, seeds=given.seeds)
                notes = pending_notes(lake, asked, given.results, seeds=given.seeds)
                print(f"{lake.name}: {len(missing)} results and {len(notes)} notes to compute")
                sys.exit(1 if missing or notes else 0)
            compute(lake, asked, given.results, seeds=given.seeds)
            take_notes(lake, asked, given.results, seeds=given.seeds)
        found = [result.what for result in read_all(given.results)]
        shown = plan(registry(), sorted({what.lake for what in found}), [what.method for what in found])
        beside = {"pictures": pictures_of(given.results), "notes": notes_of(given.results)}
        verdicts = write_report(given.results, shown, text=given.text, html=given.html, **beside)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join([*verdicts, f"report: {given.text}, {given.html}"]))


def _train_lakes(given: argparse.Namespace) -> list[TrainLake]:
    """The lakes to train a transfer on, with their pairs where those are given."""
    folders = [Path(folder) for folder in filter(None, given.train_lakes.split(","))]
    pairs = [Path(folder) for folder in filter(None, given.train_pairs.split(","))]
    if pairs and len(pairs) != len(folders):
        raise FoundError(
            f"--train-pairs names one folder per lake of --train-lakes, found {len(pairs)} for {len(folders)}."
        )
    return [TrainLake(folder.name, digest_folder(folder), place) for folder, place in zip_longest(folders, pairs)]


if __name__ == "__main__":
    main()
