"""What the commands of `found` do. Steps run as processes of their own; what is heavy is imported when it is needed."""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import PROJECT
from feature_repo.contracts.user_lists import read_user_list

_NEXT = """what to try next
  found target "your sentence" --workdir {workdir}
  found lookalike --positives USER,USER --workdir {workdir}
  found serve --workdir {workdir}     (the API, described at http://127.0.0.1:8080/docs)
  make airflow                        (the same steps as nightly DAGs)"""


def generate(given: argparse.Namespace, settings: Settings) -> int:
    return _spark("generate_lake", settings, "--users", given.users, "--seed", given.seed, "--out", given.out)


def import_dataset(given: argparse.Namespace, settings: Settings) -> int:
    day_one = ("--day-one", given.day_one) if given.day_one else ()
    return _spark("import_dataset", settings, given.name, "--from", given.origin, "--out", given.out, *day_one)


def validate(given: argparse.Namespace, settings: Settings) -> int:
    return _spark("validate_lake", settings, "--lake", given.lake)


def run(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_first_audiences
    from serving.run import run_lake

    progress, chosen = run_lake(settings, ds=given.ds, ranks=given.ranks)
    print(show_first_audiences(settings, demand=given.demand, ds=chosen.ds))
    print(f"\n{progress.table()}\n\n{_NEXT.format(workdir=settings.workdir)}")
    return 0


def evaluate(given: argparse.Namespace, settings: Settings) -> int:
    from serving.evaluate import QUICK, TRANSFER, Suite, evaluate_lake

    others = tuple(str(Path(lake).absolute()) for lake in filter(None, given.train_lakes.split(",")))
    methods = given.methods or {"found": TRANSFER if others else "", "quick": QUICK, "all": ""}[given.suite]
    suite = Suite(methods, others, given.results) if given.suite == "all" or methods else None
    progress = evaluate_lake(settings, ranks=given.ranks, fresh=given.fresh, seeds=given.seeds, suite=suite)
    print(progress.last_output())
    written = f"{settings.work.root}/results.html, results.md" if suite else settings.work.evaluation
    print(f"\n{progress.table()}\n\nwritten to {written}")
    return 0


def target(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_target

    print(show_target(settings, demand=given.demand, size=given.size, as_document=given.json, **_narrowed(given)))
    return 0


def preview(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_preview

    print(show_preview(settings, demand=given.demand, size=given.size, **_narrowed(given)))
    return 0


def lookalike(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_lookalike

    positives, negatives = _users(given.positives), _users(given.negatives)
    asked = {"demand": given.demand, "size": given.size, "as_document": given.json, **_narrowed(given)}
    print(show_lookalike(settings, positives, negatives=negatives, **asked))
    return 0


def _narrowed(given: argparse.Namespace) -> dict[str, list[str]]:
    return {"filters": given.filter, "exclude": _users(given.exclude)}


def export(given: argparse.Namespace, settings: Settings) -> int:
    from serving.export import read_order, write_users
    from serving.filter_text import read_filter
    from serving.question import Question

    settings.require("workdir")
    filters = tuple(map(read_filter, given.filter))
    question = Question(given.demand, filters=filters, exclude_users=tuple(_users(given.exclude)))
    order = read_order(settings, question, given.ds, as_written=given.as_written)
    print("\n".join(order.told))
    limits = {"--ds": order.ds, "--size": given.size, "--minimum-probability": given.minimum_probability}
    asked = [f"{name}={value}" for name, value in limits.items() if value is not None]
    with tempfile.TemporaryDirectory(prefix=".among-", dir=settings.work.root) as folder:
        if order.among is not None:
            write_users(order.among, Path(folder) / "part-0.parquet")
            asked.append(f"--among={folder}")
        said = json.dumps([asdict(sentence) for sentence in order.sentences])
        return _spark("export_audience", settings, f"--sentences={said}", f"--out={given.out}", *asked)


def serve(_: argparse.Namespace, settings: Settings) -> int:
    from serving import server

    server.serve(settings)
    return 0


def keys(given: argparse.Namespace, settings: Settings) -> int:
    from serving.access import command

    print(
        {
            "create": lambda: command.created(settings, tenant=given.tenant, name=given.name, role=given.role),
            "list": lambda: command.listed(settings, tenant=given.tenant),
            "revoke": lambda: command.revoked(settings, given.id, tenant=given.tenant),
        }[given.action]()
    )
    return 0


def audiences(given: argparse.Namespace, settings: Settings) -> int:
    from serving.audiences import command

    if given.action != "list" and not given.id:
        raise FoundError(
            f"`found audiences {given.action}` needs the id of an audience; `found audiences list` shows them."
        )
    told = {
        "list": lambda: command.listed(settings),
        "show": lambda: command.shown(settings, given.id),
        "export": lambda: command.exported(settings, given.id, format=given.format, out=given.out),
        "delete": lambda: command.deleted(settings, given.id),
    }[given.action]()
    print(told, file=sys.stderr if given.action == "export" else sys.stdout)
    return 0


def backtest(given: argparse.Namespace, settings: Settings) -> int:
    from serving.audiences.backtest import show_backtest

    print(show_backtest(settings, until=given.until))
    return 0


def erase(given: argparse.Namespace, settings: Settings) -> int:
    from serving.erasure.command import show_erasure

    print(show_erasure(settings, given.user, as_document=given.json))
    return 0


def rollback(_: argparse.Namespace, settings: Settings) -> int:
    from serving.processes import environment, run_in_foreground

    return run_in_foreground(["python", "-m", "serving.publish", "--rollback"], environment(settings, os.environ))


def _spark(job: str, settings: Settings, *arguments: object) -> int:
    from serving.processes import environment, run_in_foreground

    argv = ["spark-submit", str(PROJECT / "spark_jobs" / f"{job}.py"), *map(str, arguments)]
    return run_in_foreground(argv, environment(settings, os.environ))


def _users(given: str) -> list[str]:
    """`a,b,c`, or `@file` with one user id a line."""
    if not given.startswith("@"):
        return [user.strip() for user in given.split(",") if user.strip()]
    return list(read_user_list(Path(given[1:])))
