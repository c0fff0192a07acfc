"""The `found` command: one front door to a lake, on one machine. `found --help` answers at once."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.steps import ENVIRONMENT
from serving import commands

Command = Callable[[str, str, object], argparse.ArgumentParser]
"""Adds a command by its name, what it does, and the function that runs it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. A FoundError is printed as one line; the exit code is then 2, or the failed step's."""
    given = _parser().parse_args(arguments)
    _quiet_libraries()
    _patient_threads()
    for folder in ("lake", "workdir"):
        if getattr(given, folder, None):
            setattr(given, folder, str(Path(getattr(given, folder)).absolute()))
    try:
        settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
        return int(given.command(given, settings))
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    except OSError as error:
        told = f"{error.filename} cannot be used: {error.strerror}" if error.filename else error
        print(f"error: {told}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _quiet_libraries() -> None:
    """Deprecations and progress bars among libraries are no news for who asks for an audience."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _patient_threads() -> None:
    """As in the steps: read by torch's threads when they start."""
    os.environ.setdefault("OMP_WAIT_POLICY", ENVIRONMENT["OMP_WAIT_POLICY"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="found", description="Choose the right users from one sentence.")
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, does: str, run: object) -> argparse.ArgumentParser:
        added = choices.add_parser(name, help=does, description=does)
        added.set_defaults(command=run)
        return added

    _add_lakes(command)
    _add_models(command)
    _add_questions(command)
    _add_stored(command)
    _add_server(command)
    return parser


def _add_lakes(command: Command) -> None:
    generate = command("generate", "write a synthetic lake", commands.generate)
    generate.add_argument("--users", type=_positive, required=True)
    generate.add_argument("--seed", type=int, default=1)
    generate.add_argument("--out", required=True, metavar="DIR")

    import_dataset = command(
        "import-dataset", "make a lake of a public original that you downloaded", commands.import_dataset
    )
    import_dataset.add_argument(
        "name", metavar="NAME", help="online_retail, credit_card, movie_tweets, complete_journey, movielens or berka"
    )
    import_dataset.add_argument("--from", dest="origin", required=True, metavar="FILE_OR_FOLDER")
    import_dataset.add_argument("--out", required=True, metavar="DIR")
    import_dataset.add_argument("--day-one", type=_day, metavar="DATE", help="the date of day 1, for complete_journey")

    validate = command("validate", "check a lake against the contract and report what it holds", commands.validate)
    validate.add_argument("lake", metavar="LAKE")


def _add_models(command: Command) -> None:
    run = command("run", "from a lake to an audience: train, embed, publish, ask", commands.run)
    _add_training(run)
    run.add_argument(
        "--ds", type=_day, help="the cut-off (default: the last midnight that the lake was observed up to)"
    )
    run.add_argument("--horizon-days", type=_positive, help="how far ahead (default: 30, less for a short lake)")
    run.add_argument("--demand", default="", help="the sentence to ask at the end (default: the lake's first scenario)")

    evaluate = command("evaluate", "score the lake's scenarios zero-shot, as of their cut-offs", commands.evaluate)
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


def _add_questions(command: Command) -> None:
    target = command("target", "the users that a sentence describes", commands.target)
    target.add_argument("demand", metavar="SENTENCE")
    _add_asking(target)
    _add_json(target)

    preview = command("preview", "what the audience of a sentence would be, as JSON", commands.preview)
    preview.add_argument("demand", metavar="SENTENCE")
    _add_asking(preview)

    lookalike = command("lookalike", "the users who are like these", commands.lookalike)
    lookalike.add_argument("--positives", required=True, metavar="A,B,C|@FILE", help="users who do it")
    lookalike.add_argument("--negatives", default="", metavar="A,B,C|@FILE", help="users who do not (default: random)")
    lookalike.add_argument("--demand", default="", help="what they have in common, in one sentence")
    _add_asking(lookalike)
    _add_json(lookalike)

    export = command("export", "all users that a sentence describes, scored one by one, as a file", commands.export)
    export.add_argument("demand", metavar="SENTENCE")
    export.add_argument("--out", required=True, metavar="FILE", help="a .csv, .parquet or .jsonl file")
    export.add_argument("--size", type=_positive, help="how many users")
    export.add_argument("--minimum-probability", type=float, metavar="P", help="no user below it")
    _add_narrowing(export)
    export.add_argument("--as-written", action="store_true", help="take no filter or rule out of the sentence")
    export.add_argument("--ds", type=_day, help="the day of the embeddings (default: what the index answers by)")
    export.add_argument("--workdir", metavar="DIR")


def _add_stored(command: Command) -> None:
    audiences = command("audiences", "the stored audiences: list, show, export, delete", commands.audiences)
    audiences.add_argument("action", choices=("list", "show", "export", "delete"))
    audiences.add_argument("id", nargs="?", default="", metavar="ID")
    audiences.add_argument("--format", choices=("csv", "jsonl", "parquet"), default="csv", help="of an export")
    audiences.add_argument("--out", default="-", metavar="FILE", help="of an export (default: standard output)")
    audiences.add_argument("--workdir", metavar="DIR")

    backtest = command("backtest", "what became of stored audiences whose window has passed", commands.backtest)
    backtest.add_argument("--until", type=_day, help="windows that ended by this day (default: today)")
    backtest.add_argument("--lake", metavar="LAKE")
    backtest.add_argument("--workdir", metavar="DIR")

    erase = command("erase", "remove a user from everything derived from the lake, and keep out", commands.erase)
    erase.add_argument("user", metavar="USER")
    erase.add_argument("--lake", metavar="LAKE", help="to be told which of its files still hold the user")
    erase.add_argument("--workdir", metavar="DIR")
    erase.add_argument("--json", action="store_true", help="the receipt as JSON")


def _add_server(command: Command) -> None:
    serve = command("serve", "answer by HTTP", commands.serve)
    serve.add_argument("--workdir", metavar="DIR")
    serve.add_argument("--host")
    serve.add_argument("--port", type=_port)

    keys = command("keys", "the keys of the API: create, list, revoke", commands.keys)
    keys.add_argument("action", choices=("create", "list", "revoke"))
    keys.add_argument("id", nargs="?", default="", metavar="ID", help="of the key to revoke")
    keys.add_argument("--role", choices=("viewer", "analyst", "admin"), default="analyst", help="default: analyst")
    keys.add_argument("--name", default="", help="what it is for")
    keys.add_argument("--tenant", default="", help="whose key, where there are several tenants")
    keys.add_argument("--workdir", metavar="DIR")

    rollback = command("rollback", "serve the previous model's collection again", commands.rollback)
    rollback.add_argument("--workdir", metavar="DIR")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE")
    parser.add_argument("--workdir", metavar="DIR")
    parser.add_argument("--recipe", help="the model's recipe (default: found_default)")
    parser.add_argument("--ranks", type=_positive, default=1, help="training processes (default: 1)")


def _add_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workdir", metavar="DIR")
    parser.add_argument("--size", type=_positive, default=20, help="how many users (default: 20)")
    _add_narrowing(parser)


def _add_narrowing(parser: argparse.ArgumentParser) -> None:
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


def _port(text: str) -> int:
    if (port := _positive(text)) > 65_535:
        raise argparse.ArgumentTypeError(f"must be at most 65535, found {text!r}")
    return port


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a date like 2011-09-01, found {text!r}") from error


if __name__ == "__main__":
    sys.exit(main())
