"""The `found` command: one front door to a lake, on one machine. Steps run as processes of their own.

Nothing heavy is imported before a command needs it: `found --help` answers at once.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings, read_settings
from feature_repo.contracts.steps import PROJECT

Command = Callable[[str, str, object], argparse.ArgumentParser]
"""Adds a command by its name, what it does, and the function that runs it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. A FoundError is printed as one line; the exit code is then 2, or the failed step's."""
    given = _parser().parse_args(arguments)
    _quiet_libraries()
    for folder in ("lake", "workdir"):
        if getattr(given, folder, None):
            setattr(given, folder, str(Path(getattr(given, folder)).absolute()))
    try:
        settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
        return int(given.command(given, settings))
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _quiet_libraries() -> None:
    """Deprecations and progress bars among libraries are no news for who asks for an audience."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _generate(given: argparse.Namespace, settings: Settings) -> int:
    return _spark("generate_lake", settings, "--users", given.users, "--seed", given.seed, "--out", given.out)


def _import(given: argparse.Namespace, settings: Settings) -> int:
    day_one = ("--day-one", given.day_one) if given.day_one else ()
    return _spark("import_dataset", settings, given.name, "--from", given.origin, "--out", given.out, *day_one)


def _validate(given: argparse.Namespace, settings: Settings) -> int:
    return _spark("validate_lake", settings, "--lake", given.lake)


def _run(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_first_audiences
    from serving.run import run_lake

    progress, chosen = run_lake(settings, ds=given.ds, ranks=given.ranks)
    print(show_first_audiences(settings, demand=given.demand, ds=chosen.ds))
    print(f"\n{progress.table()}\n\n{_NEXT.format(workdir=settings.workdir)}")
    return 0


def _evaluate(given: argparse.Namespace, settings: Settings) -> int:
    from serving.evaluate import QUICK, TRANSFER, Suite, evaluate_lake

    others = tuple(str(Path(lake).absolute()) for lake in filter(None, given.train_lakes.split(",")))
    methods = given.methods or {"found": TRANSFER if others else "", "quick": QUICK, "all": ""}[given.suite]
    suite = Suite(methods, others, given.results) if given.suite == "all" or methods else None
    progress = evaluate_lake(settings, ranks=given.ranks, fresh=given.fresh, seeds=given.seeds, suite=suite)
    print(progress.last_output())
    print(f"\n{progress.table()}\n\nwritten to {settings.work.evaluation}")
    if suite:
        print(f"all methods side by side: {settings.work.root}/results.html, results.md")
    return 0


def _target(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_target

    print(show_target(settings, demand=given.demand, size=given.size, as_document=given.json, **_narrowed(given)))
    return 0


def _preview(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_preview

    print(show_preview(settings, demand=given.demand, size=given.size, **_narrowed(given)))
    return 0


def _lookalike(given: argparse.Namespace, settings: Settings) -> int:
    from serving.ask import show_lookalike

    positives, negatives = _users(given.positives), _users(given.negatives)
    asked = {"demand": given.demand, "size": given.size, "as_document": given.json, **_narrowed(given)}
    print(show_lookalike(settings, positives, negatives=negatives, **asked))
    return 0


def _narrowed(given: argparse.Namespace) -> dict[str, list[str]]:
    return {"filters": given.filter, "exclude": _users(given.exclude)}


def _export(given: argparse.Namespace, settings: Settings) -> int:
    limits = {"--ds": given.ds, "--size": given.size, "--minimum-probability": given.minimum_probability}
    asked = [f"{name}={value}" for name, value in limits.items() if value is not None]
    return _spark("export_audience", settings, f"--demand={given.demand}", f"--out={given.out}", *asked)


def _serve(_: argparse.Namespace, settings: Settings) -> int:
    from serving.app import serve

    serve(settings)
    return 0


def _rollback(_: argparse.Namespace, settings: Settings) -> int:
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
    path = Path(given[1:])
    if not path.is_file():
        raise FoundError(f"{given} must name a file with one user id a line, found no file {path}.")
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


_NEXT = """what to try next
  found target "your sentence" --workdir {workdir}
  found lookalike --positives USER,USER --workdir {workdir}
  found serve --workdir {workdir}     (the API, described at http://127.0.0.1:8080/docs)
  make airflow                        (the same steps as nightly DAGs)"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="found", description="Choose the right users from one sentence.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, does: str, run: object) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=does, description=does)
        added.set_defaults(command=run)
        return added

    _add_lakes(command)
    _add_models(command)
    _add_audiences(command)
    return parser


def _add_lakes(command: Command) -> None:
    generate = command("generate", "write a synthetic lake", _generate)
    generate.add_argument("--users", type=_positive, required=True)
    generate.add_argument("--seed", type=int, default=1)
    generate.add_argument("--out", required=True, metavar="DIR")

    import_dataset = command("import-dataset", "make a lake of a public original that you downloaded", _import)
    import_dataset.add_argument(
        "name", metavar="NAME", help="online_retail, credit_card, movie_tweets, complete_journey, movielens or berka"
    )
    import_dataset.add_argument("--from", dest="origin", required=True, metavar="FILE_OR_FOLDER")
    import_dataset.add_argument("--out", required=True, metavar="DIR")
    import_dataset.add_argument("--day-one", type=_day, metavar="DATE", help="the date of day 1, for complete_journey")

    validate = command("validate", "check a lake against the contract and report what it holds", _validate)
    validate.add_argument("lake", metavar="LAKE")


def _add_models(command: Command) -> None:
    run = command("run", "from a lake to an audience: train, embed, publish, ask", _run)
    _add_training(run)
    run.add_argument(
        "--ds", type=_day, help="the cut-off (default: the last midnight that the lake was observed up to)"
    )
    run.add_argument("--horizon-days", type=_positive, help="how far ahead (default: 30, less for a short lake)")
    run.add_argument("--demand", default="", help="the sentence to ask at the end (default: the lake's first scenario)")

    evaluate = command("evaluate", "score the lake's scenarios zero-shot, as of their cut-offs", _evaluate)
    _add_training(evaluate)
    evaluate.add_argument("--seeds", type=_positive, default=1, help="models to train per cut-off (default: 1)")
    evaluate.add_argument(
        "--suite",
        choices=("found", "quick", "all"),
        default="found",
        help="all: every baseline and ablation as well; quick: the methods that learn nothing",
    )
    evaluate.add_argument(
        "--methods", default="", metavar="A,B", help="of the suite only these; ablations, transfer: all of a kind"
    )
    evaluate.add_argument(
        "--train-lakes",
        default="",
        metavar="A,B",
        help="folders of other lakes to train on; LAKE is the test lake then",
    )
    evaluate.add_argument("--results", default="", metavar="DIR", help="the suite's results (default: WORKDIR/results)")
    evaluate.add_argument("--fresh", action="store_true", help="train again where a complete sub-run lies")


def _add_audiences(command: Command) -> None:
    target = command("target", "the users that a sentence describes", _target)
    target.add_argument("demand", metavar="SENTENCE")
    _add_asking(target)
    _add_json(target)

    preview = command("preview", "what the audience of a sentence would be, as JSON", _preview)
    preview.add_argument("demand", metavar="SENTENCE")
    _add_asking(preview)

    lookalike = command("lookalike", "the users who are like these", _lookalike)
    lookalike.add_argument("--positives", required=True, metavar="A,B,C|@FILE", help="users who do it")
    lookalike.add_argument("--negatives", default="", metavar="A,B,C|@FILE", help="users who do not (default: random)")
    lookalike.add_argument("--demand", default="", help="what they have in common, in one sentence")
    _add_asking(lookalike)
    _add_json(lookalike)

    export = command("export", "all users that a sentence describes, scored one by one, as a file", _export)
    export.add_argument("demand", metavar="SENTENCE")
    export.add_argument("--out", required=True, metavar="FILE", help="a .csv, .parquet or .jsonl file")
    export.add_argument("--size", type=_positive, help="how many users")
    export.add_argument("--minimum-probability", type=float, metavar="P", help="no user below it")
    export.add_argument("--ds", type=_day, help="the day of the embeddings (default: what the index answers by)")
    export.add_argument("--workdir", metavar="DIR")

    serve = command("serve", "answer by HTTP", _serve)
    serve.add_argument("--workdir", metavar="DIR")
    serve.add_argument("--host")
    serve.add_argument("--port", type=_positive)

    rollback = command("rollback", "serve the previous model's collection again", _rollback)
    rollback.add_argument("--workdir", metavar="DIR")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE")
    parser.add_argument("--workdir", metavar="DIR")
    parser.add_argument("--recipe", help="the model's recipe (default: found_default)")
    parser.add_argument("--ranks", type=_positive, default=1, help="training processes (default: 1)")


def _add_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workdir", metavar="DIR")
    parser.add_argument("--size", type=_positive, default=20, help="how many users (default: 20)")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="FILTER", help="such as 'age > 30'; repeated, all must hold"
    )
    parser.add_argument("--exclude", default="", metavar="A,B,C|@FILE", help="users to leave out")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the API's answer instead of a table")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, found {text!r}")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a date like 2011-09-01, found {text!r}") from error


if __name__ == "__main__":
    sys.exit(main())
