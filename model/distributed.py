"""One process or many: the same loss, the same gradient."""

import os
from dataclasses import dataclass
from datetime import timedelta

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
        sent = rows.to(self.device)
        counts = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.world)]
        dist.all_gather(counts, torch.tensor([len(sent)], device=self.device))
        most = max(int(count) for count in counts)
        padded = torch.cat([sent, sent.new_zeros(most - len(sent), *sent.shape[1:])])
        gathered = [torch.zeros_like(padded) for _ in counts]
        dist.all_gather(gathered, padded)
        kept = [part[: int(count)] for part, count in zip(gathered, counts, strict=True)]
        return torch.cat(kept).to(rows.device)

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()


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
