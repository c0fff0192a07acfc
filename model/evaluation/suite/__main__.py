"""`python -m model.evaluation.suite`: every method on the scenarios of a lake that `found evaluate` has trained for."""

import argparse
import sys
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from model.evaluation.report import write_report
from model.evaluation.results import read_all
from model.evaluation.suite.compute import Lake, compute, pending, pictures_of
from model.evaluation.suite.families import Family, families
from model.evaluation.suite.notes import notes_of, pending_notes, take_notes
from model.evaluation.suite.report import plan


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.suite", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of result files; what holds is kept")
    parser.add_argument("--lake", type=Path, help="a lake's folder; without it only the report is written")
    parser.add_argument("--runs", type=Path, help="folder of one work directory per CUTOFF_HORIZONd")
    parser.add_argument("--pending", action="store_true", help="only count what is to be computed; exit 1 if anything")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", default="", help="comma-separated; default: all")
    parser.add_argument("--text", type=Path, default=Path("results.md"), help="the report in Markdown")
    parser.add_argument("--html", type=Path, default=Path("results.html"), help="the report as one page")
    given = parser.parse_args()
    try:
        if given.lake:
            lake, chosen = Lake.open(given.lake, given.runs or Path()), _chosen(given.methods)
            if given.pending:
                missing = pending(lake, chosen, given.results, seeds=given.seeds)
                notes = pending_notes(lake, chosen, given.results, seeds=given.seeds)
                print(f"{lake.name}: {len(missing)} results and {len(notes)} notes to compute")
                sys.exit(1 if missing or notes else 0)
            compute(lake, chosen, given.results, seeds=given.seeds)
            take_notes(lake, chosen, given.results, seeds=given.seeds)
        shown = plan(families(), sorted({result.what.lake for result in read_all(given.results)}))
        beside = {"pictures": pictures_of(given.results), "notes": notes_of(given.results)}
        write_report(given.results, shown, text=given.text, html=given.html, **beside)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"report: {given.text}, {given.html}")


def _chosen(names: str) -> list[Family]:
    known = {family.name: family for family in families()}
    wanted = names.split(",") if names else list(known)
    if strange := sorted(set(wanted) - set(known)):
        raise FoundError(f"unknown methods {strange}; methods are {sorted(known)}.")
    return [known[name] for name in wanted]


if __name__ == "__main__":
    main()
