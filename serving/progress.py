"""What a long command shows: one line per step while it runs, and a table of what took how long."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from feature_repo.contracts.steps import Step
from serving.processes import Finished, run_process


class Progress:
    """Runs steps in order and prints `[3/9] embed: embed the users whose input changed ... 12.3 s`."""

    def __init__(self, total: int, *, logs: Path, out: TextIO | None = None) -> None:
        self._total = total
        self._logs = logs
        self._out = out or sys.stdout
        self.finished: list[Finished] = []

    def run(self, steps: Iterable[Step], values: Mapping[str, str], environ: Mapping[str, str]) -> None:
        """Raises StepFailed at the first step that fails; the later ones are not started."""
        for step in steps:
            line = f"[{len(self.finished) + 1}/{self._total}] {step.name}: {step.heading or step.name} ..."
            self._say(line)
            try:
                done = run_process(
                    step.name,
                    step.argv(values),
                    environ=environ,
                    log=self._logs / f"{step.name}.log",
                    waiting=partial(self._tick, line),
                )
            except BaseException:
                self._say(" failed\n")
                raise
            self.finished.append(done)
            self._say(f"\r{line} {done.seconds:.1f} s\n" if self._out.isatty() else f" {done.seconds:.1f} s\n")

    def last_output(self) -> str:
        """What the last step printed."""
        return (self._logs / f"{self.finished[-1].name}.log").read_text(errors="replace").rstrip()

    def table(self) -> str:
        """Step, seconds and peak memory, with the sum of the times and the largest of the peaks."""
        rows = [(f.name, f"{f.seconds:.1f}", f"{f.peak_mb:.0f}") for f in self.finished]
        total = sum(f.seconds for f in self.finished)
        most = max((f.peak_mb for f in self.finished), default=0.0)
        return table(("step", "seconds", "peak MB"), [*rows, ("all", f"{total:.1f}", f"{most:.0f}")])

    def _tick(self, line: str, seconds: float) -> None:
        if self._out.isatty():
            self._say(f"\r{line} {seconds:.0f} s")

    def _say(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, as wide as their widest cell."""
    lines = [header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    ruled = [header, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in ruled)
