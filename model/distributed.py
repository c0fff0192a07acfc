"""One process or many: the same loss, the same gradient."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = timedelta(minutes=10)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """This process among its peers, and its device."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def all_sum(self, value: Tensor) -> Tensor:
        """The sum over ranks, without gradient."""
        value = value.detach().clone()
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def all_rows(self, rows: Tensor) -> Tensor:
        """The rows of all ranks in rank order, without gradient; the ranks may hold different numbers."""
        if self.world == 1:
            return rows
        return torch.cat(self._parts(rows.to(self.device))).to(rows.device)

    def all_rows_with_gradient(self, rows: Tensor) -> tuple[Tensor, int]:
        """The rows of all ranks in rank order, and the place of this rank's first.

        The ranks may hold different numbers, none included. Backward gives each row the sum over ranks of its
        gradients; every rank must take part in it.
        """
        if self.world == 1:
            return rows, 0
        gathered, first = _AllRows.apply(rows, self)
        return gathered, int(first)

    def _parts(self, rows: Tensor) -> list[Tensor]:
        """The rows of each rank."""
        counts = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.world)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=self.device))
        most = max(int(count) for count in counts)
        padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
        gathered = [torch.zeros_like(padded) for _ in counts]
        dist.all_gather(gathered, padded)
        return [part[: int(count)] for part, count in zip(gathered, counts, strict=True)]

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()


class _AllRows(torch.autograd.Function):
    """all_gather with its gradient: a row that several ranks used gets what each of them found."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> tuple[Tensor, int]:
        parts = ranks._parts(rows)
        first = sum(len(part) for part in parts[: ranks.rank])
        ctx.ranks, ctx.own = ranks, slice(first, first + len(rows))
        return torch.cat(parts), first

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor, None]:
        return ctx.ranks.all_sum(gradient)[ctx.own], None


def join() -> Ranks:
    """The ranks that torchrun started; one process otherwise."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    use_cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if use_cuda else torch.device("cpu")
    if use_cuda:
        torch.cuda.set_device(device)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if use_cuda else "gloo", timeout=TIMEOUT)
    return Ranks(int(os.environ.get("RANK", "0")), world, device)


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
