"""What lies beside a model's weights: the record of the run that made them, and a model card.

`run.json` holds what differs from machine to machine (versions, device, seconds); `README.md` is a function of the
run's settings and losses alone. Neither enters the model's version.
"""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from model.distributed import Ranks

RECORD, CARD = "run.json", "README.md"
PACKAGES = ("found", "torch", "transformers", "peft", "numpy")
LICENCE = "apache-2.0"
STAGES = {
    1: "User encoders after self-supervised pre-training (stage 1): the start of stage 2, not a model to target with.",
    2: "Users and sentences in one space (stage 2): the inner product of their vectors ranks users by a sentence.",
}


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Writes card and record into a model's folder; the run that made a model first is the one on record."""
    if not (folder / RECORD).exists():
        _write(folder / CARD, card(record))
        _write(folder / RECORD, json.dumps(record, indent=1, sort_keys=True))


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(text)
    os.replace(unfinished, path)


def environment(ranks: Ranks) -> dict[str, Any]:
    """Where a run happens."""
    on_gpu = ranks.device.type == "cuda"
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(ranks.device) if on_gpu else platform.machine(),
        "threads": torch.get_num_threads(),
        "ranks": ranks.world,
    }


def card(record: Mapping[str, Any]) -> str:
    """The model card in the form of the Hugging Face hub: front matter, then what a stranger must know."""
    pairs, recipe = record["pairs"], record["recipe"]
    tags = ["user-targeting", "user-representation", "contrastive-learning", f"recipe:{recipe['name']}"]
    windows, optimisation = pairs["windows"], recipe[f"stage{record['stage']}"]
    lines = [
        "---",
        f"license: {LICENCE}",
        "library_name: found",
        f"tags: {json.dumps(tags)}",
        f"datasets: {json.dumps([pairs['lake']])}",
        "---",
        "",
        f"# FOUND {record['version']}",
        "",
        STAGES[record["stage"]],
        "",
        "## Trained on",
        "",
        f"{pairs['rows']:,} pairs of the lake `{pairs['lake']}` (fingerprint `{pairs['fingerprint']}`): histories of "
        f"{windows['history_days']} days, futures of {windows['horizon_days']} days after a gap of "
        f"{windows['gap_days']}, at the cut-offs {', '.join(pairs['cutoffs'])}.",
        "",
        f"Recipe `{recipe['name']}`, seed {record['seed']}, text encoder `{recipe['encoder']}`, "
        f"{record['steps']} steps of up to {optimisation['batch_users']} users.",
        "",
        "## Losses",
        "",
        *_table(record["history"][-1:]),
        *(["", "Held-out newest cut-off:", "", *_table(record["validation"])] if record["validation"] else []),
        "",
        "These are the training losses of the last reported step. How well it ranks users is measured apart: "
        "`found evaluate`.",
        "",
        "## Intended use",
        "",
        "Ranking the users of this same lake by a sentence about what they will do within "
        f"{windows['horizon_days']} days. Load it with `FoundModel.from_pretrained(FOLDER)`.",
        "",
        "## Limits",
        "",
        "- It knows only the sources, the languages and the kinds of events of its lake; another lake needs its own.",
        "- Its scores are estimates for the horizon above and for no other, and they age: train it again as time goes.",
        "- Past behaviour carries past bias. Do not decide on credit, work, housing or health of a person with it.",
        "- The licence above is that of the code. The licence of the lake and of the text encoder hold as well.",
        "",
    ]
    return "\n".join(lines)


def _table(rows: list[Mapping[str, float]]) -> list[str]:
    """The rows as a table of Markdown."""
    if not rows:
        return ["No step was reported."]
    names = list(rows[0])
    cells = [[f"{row[n]:.0f}" if n == "step" else f"{row[n]:.4f}" for n in names] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (names, ["---"] * len(names), *cells)]
