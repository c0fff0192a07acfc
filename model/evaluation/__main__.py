"""`python -m model.evaluation`: the scenarios of a lake, zero-shot and few-shot, by the models of `found evaluate`.

What is scored sees a scenario's id, demand, cut-off, horizon and domain, few-shot also fit labels, and nothing else.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from model.evaluation import few_shot, zero_shot
from model.evaluation.leaks import refuse_late_pairs
from model.evaluation.scenarios import read_labels, read_scenarios


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.evaluation", description=__doc__)
    parser.add_argument("--scenarios", type=Path, required=True, help="folder with scenarios.yaml and labels.parquet")
    parser.add_argument("--runs", type=Path, required=True, help="folder of one work directory per CUTOFF_HORIZONd")
    parser.add_argument("--seeds", type=int, default=1, help="seeds above 0 lie in seed-1, seed-2 ... of a run")
    parser.add_argument("--out", type=Path, required=True, help="the JSON report")
    given = parser.parse_args()
    try:
        scenarios = read_scenarios(given.scenarios / "scenarios.yaml")
        refuse_late_pairs(scenarios, given.runs)
        fit, held_out = (read_labels(given.scenarios / "labels.parquet", split) for split in ("fit", "eval"))
        report = zero_shot.evaluate(scenarios, held_out, given.runs, seeds=given.seeds)
        seeded = few_shot.evaluate(scenarios, fit, held_out, given.runs)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    unfinished = given.out.with_name(f".{given.out.name}")
    unfinished.write_text(json.dumps({"zero_shot": report, "few_shot": seeded}, indent=1) + "\n")
    os.replace(unfinished, given.out)
    print("\n".join(filter(None, [zero_shot.table(report), few_shot.table(seeded)])))


if __name__ == "__main__":
    main()
