"""What `model.train` is told on the command line."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model.config import PRECISIONS, Recipe

OPTIONS = ("chunk_users", "precision", "compile", "patience", "validate_every")
"""Those of one run that hold in both stages."""


def with_options(recipe: Recipe, arguments: Mapping[str, Any]) -> Recipe:
    """The recipe with the options that were given (not None) in both stages, so that stage 2 knows its stage 1."""
    given = {name: arguments[name] for name in OPTIONS if arguments.get(name) is not None}
    stage1, stage2 = replace(recipe.stage1, **given), replace(recipe.stage2, **given)
    tune_events = recipe.tune_events or bool(arguments.get("tune_events"))
    return replace(recipe, stage1=stage1, stage2=stage2, tune_events=tune_events)


def arguments(description: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torchrun -m model.train", description=description)
    parser.add_argument("--stage", type=int, choices=(1, 2), required=True)
    parser.add_argument("--recipe", help="name of a recipe in model/recipes.py")
    parser.add_argument("--pairs", help="folder of build_pairs' output; default WORKDIR/pairs")
    parser.add_argument("--out", help="folder of models; default WORKDIR/models")
    parser.add_argument("--workdir")
    parser.add_argument("--encoder", help="Hugging Face id or folder of the text encoder; default the recipe's")
    parser.add_argument("--language-model", help="the same of the text tower's language model, where it has its own")
    parser.add_argument("--seed", type=int, help="of weights, batches and draws; default: the setting, 0")
    parser.add_argument("--mlflow-uri", help="an MLflow tracking store, beside TensorBoard: file:, sqlite: or a server")
    options = parser.add_argument_group("options of the recipe, the same for both stages")
    options.add_argument("--chunk-users", type=int, help="users of a process in memory at once; the gradient is exact")
    options.add_argument("--precision", choices=PRECISIONS)
    options.add_argument("--compile", action="store_true", default=None, help="torch.compile the attention blocks")
    options.add_argument("--patience", type=int, help="hold out the newest cut-off; stop after so many looks in vain")
    options.add_argument("--validate-every", type=int, help="steps between looks at the held-out cut-off")
    options.add_argument("--tune-events", action="store_true", default=None, help="stage 2 tunes the event encoder too")
    return parser.parse_args()
