"""`spark-submit spark_jobs/generate_lake.py --users N --seed S --out DIR`: a lake of simulated people.

All five sources tell one story per user: habits, seasons, life events, noise, people who come and go. The
scenarios are labelled by the true intents. The same users and seed give the same bytes.
"""

import argparse
import time
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from spark_jobs.session import main, parser, say, spark_session
from spark_jobs.synthetic.lake import write_lake


def job(settings: Settings, given: argparse.Namespace) -> None:
    if given.users < 1:
        raise FoundError(f"--users must be at least 1, found {given.users}.")
    out = Path(given.out).absolute()
    started = time.monotonic()
    say(f"simulating {given.users:,} users (seed {given.seed})")
    spark = spark_session(settings, job="generate_lake")
    write_lake(spark, out, users=given.users, seed=given.seed)
    say(f"wrote the lake {out} in {time.monotonic() - started:.0f} s")


def arguments() -> argparse.ArgumentParser:
    wanted = parser(__doc__ or "", "spark_master")
    wanted.add_argument("--users", type=int, default=5_000)
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--out", required=True)
    return wanted


if __name__ == "__main__":
    main(job, arguments())
