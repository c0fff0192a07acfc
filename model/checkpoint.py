"""Checkpoints of a run: weights and optimizer state as safetensors, replaced atomically; nothing is pickled."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError


@dataclass(frozen=True)
class Resumed:
    """Where a run goes on: the steps done, what it noted of them, and the tensors it kept beside its weights."""

    step: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Tensor] = field(default_factory=dict)


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that the run may change, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy on the CPU of what the run may change."""
    return {name: p.detach().cpu().clone() for name, p in trained(module).items()}


def restore(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Sets what `weights` gave."""
    with torch.no_grad():
        for name, parameter in trained(module).items():
            parameter.copy_(state[name])


def save(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Mapping[str, Any],
    *,
    notes: Mapping[str, Any] | None = None,
    kept: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes the state after `run["step"]` steps; `notes` (JSON) and `kept` come back from `load` as they are."""
    names = {id(p): name for name, p in trained(module).items()}
    state: dict[str, Tensor] = {f"weight/{name}": p.detach().cpu() for name, p in trained(module).items()}
    for parameter, moments in optimizer.state.items():
        for moment, value in moments.items():
            state[f"{moment}/{names[id(parameter)]}"] = torch.as_tensor(value).detach().cpu()
    state |= {f"kept/{name}": value for name, value in (kept or {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    metadata = {"run": json.dumps(run), "notes": json.dumps(notes or {})}
    save_file({k: v.contiguous() for k, v in state.items()}, str(unfinished), metadata=metadata)
    os.replace(unfinished, path)


def load(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, run: Mapping[str, Any]) -> Resumed:
    """Restores weights and moments; says where the run goes on, at step 0 where there is nothing to resume.

    Raises FoundError where the checkpoint belongs to another run (recipe, data or seed).
    """
    if not path.exists():
        return Resumed()
    found, notes = _metadata_of(path)
    if differs := {k: v for k, v in run.items() if k != "step" and found.get(k) != v}:
        raise FoundError(f"{path} belongs to another run ({sorted(differs)} differ): remove it or use its settings.")
    state = load_file(str(path))
    restore(module, _under("weight/", state))
    for name, parameter in trained(module).items():
        moments = {m: state[f"{m}/{name}"] for m in ("step", "exp_avg", "exp_avg_sq") if f"{m}/{name}" in state}
        if moments:
            optimizer.state[parameter] = {m: v if m == "step" else v.to(parameter.device) for m, v in moments.items()}
    return Resumed(int(found["step"]), notes, _under("kept/", state))


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _metadata_of(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    return json.loads(metadata["run"]), json.loads(metadata.get("notes", "{}"))
