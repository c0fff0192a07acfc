"""`python -m model.rewriting "demand" --workdir DIR`: prints what a demand means in the terms of a lake."""

import argparse
import json
import os
import sys
from datetime import date
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from model.rewriting.document import Rewritten
from model.rewriting.opening import open_rewriter
from model.rewriting.show import show


def main() -> None:
    given = _arguments()
    try:
        rewritten = _rewrite(given)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(rewritten.to_dict(), indent=1, ensure_ascii=False) if given.json else show(rewritten))


def _rewrite(given: argparse.Namespace) -> Rewritten:
    disable_progress_bar()
    settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
    offline = open_rewriter(settings, day=_date(given.day))
    if not given.language_model:
        return offline.rewrite(given.demand)
    # Imported late: without a language model this command needs none of it.
    from model.rewriting.language_model import LanguageModelRewriter, open_language_model

    return LanguageModelRewriter(open_language_model(given.language_model, adapter=given.adapter), offline).rewrite(
        given.demand
    )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise FoundError(f"--day must be a date like 2024-01-31, found {text!r}.") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.rewriting", description=__doc__)
    parser.add_argument("demand")
    parser.add_argument("--workdir", help="what `found run` made of the lake")
    parser.add_argument(
        "--day", default="", help="the day of asking, for words like 'this summer'; default: the last cut-off"
    )
    parser.add_argument("--json", action="store_true", help="print the document that can be edited and submitted again")
    parser.add_argument("--language-model", default="", help="Hugging Face id or folder of a causal language model")
    parser.add_argument(
        "--adapter", default="", help="folder of a LoRA adapter, as model.rewriting.fine_tune writes it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
