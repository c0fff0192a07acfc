"""Checkpoints of a run: weights and optimizer state as safetensors, replaced atomically; nothing is pickled."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that the run may change, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def save(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, run: Mapping[str, Any]) -> None:
    """Writes the state after `run["step"]` steps."""
    names = {id(p): name for name, p in trained(module).items()}
    state: dict[str, Tensor] = {f"weight/{name}": p.detach().cpu() for name, p in trained(module).items()}
    for parameter, moments in optimizer.state.items():
        for moment, value in moments.items():
            state[f"{moment}/{names[id(parameter)]}"] = torch.as_tensor(value).detach().cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({k: v.contiguous() for k, v in state.items()}, str(unfinished), metadata={"run": json.dumps(run)})
    os.replace(unfinished, path)


def load(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, run: Mapping[str, Any]) -> int:
    """Restores weights and moments; returns the number of steps done, 0 where there is nothing to resume.

    Raises FoundError where the checkpoint belongs to another run (recipe, data or seed).
    """
    if not path.exists():
        return 0
    found = _run_of(path)
    if differs := {k: v for k, v in run.items() if k != "step" and found.get(k) != v}:
        raise FoundError(f"{path} belongs to another run ({sorted(differs)} differ): remove it or use its settings.")
    state, parameters = load_file(str(path)), trained(module)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[f"weight/{name}"])
    for name, parameter in parameters.items():
        moments = {m: state[f"{m}/{name}"] for m in ("step", "exp_avg", "exp_avg_sq") if f"{m}/{name}" in state}
        if moments:
            optimizer.state[parameter] = {m: v if m == "step" else v.to(parameter.device) for m, v in moments.items()}
    return int(found["step"])


def _run_of(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        run: dict[str, Any] = json.loads(file.metadata()["run"])
    return run
