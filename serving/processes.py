"""Steps as processes: their environment, their log, their peak memory, and what is said when one fails."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import ENVIRONMENT

SAMPLE_SECONDS = 0.5
SHOWN_LINES = 20
_PATIENCE_SECONDS = 10
_DEFAULTS = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore",  # deprecations among libraries are no news for who runs a step
    **ENVIRONMENT,
}


class StepFailed(FoundError):
    """A step ended with another code than 0; the command exits with `exit_code`, 128 + n after signal n."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Finished:
    """How long a process took and the most memory that it and its children held together."""

    name: str
    seconds: float
    peak_mb: float


def environment(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """`base` with these settings, this environment's programs first on the PATH, and a Java."""
    programs = str(Path(sys.executable).parent)
    paths = [programs, *(p for p in base.get("PATH", "").split(os.pathsep) if p and p != programs)]
    environ = dict(base) | settings.environment()
    environ |= {"PATH": os.pathsep.join(paths), "PYSPARK_PYTHON": sys.executable}
    for name, value in _DEFAULTS.items():
        environ.setdefault(name, value)
    if java := _java_home(environ):
        environ["JAVA_HOME"] = java
    return environ


def _java_home(environ: Mapping[str, str]) -> str:
    """The given one, else the one that the set-up put beside python, else '' (the PATH's java is used)."""
    beside = Path(sys.prefix) / "java"
    packaged = str(beside) if (beside / "bin" / "java").exists() else ""
    return environ.get("FOUND_JAVA_HOME") or environ.get("JAVA_HOME") or packaged


def run_process(
    name: str,
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    log: Path,
    waiting: Callable[[float], None] = lambda _: None,
) -> Finished:
    """Runs one process to its end, its output in `log`. `waiting` hears the seconds so far, twice a second.

    Raises StepFailed with the last lines of the log. An interrupt ends the process and its children.
    """
    _refuse_missing(argv[0], environ)
    log.parent.mkdir(parents=True, exist_ok=True)
    started, peak = time.monotonic(), 0.0
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=dict(environ), stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                peak = max(peak, _megabytes(process.pid))
                waiting(time.monotonic() - started)
                _wait(process, SAMPLE_SECONDS)
        finally:
            if process.poll() is None:
                _end(process)
    if process.returncode:
        raise StepFailed(_failure(name, process.returncode, log), exit_code=_exit_code(process.returncode))
    return Finished(name, time.monotonic() - started, peak)


def run_in_foreground(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs one process on this terminal; returns the code to exit with."""
    _refuse_missing(argv[0], environ)
    return _exit_code(subprocess.run(argv, env=dict(environ), check=False).returncode)


def _exit_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _refuse_missing(program: str, environ: Mapping[str, str]) -> None:
    if not shutil.which(program, path=environ["PATH"]):
        raise FoundError(
            f"the program {program!r} must be on the PATH, it is in none of {environ['PATH']}: "
            "install the project with all its extras."
        )


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _tree(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def _megabytes(pid: int) -> float:
    total = 0
    for process in _tree(pid):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and all that it started: asked first, killed when it does not listen."""
    tree = _tree(process.pid)
    for member in tree:
        _signal(member.terminate)
    _, alive = psutil.wait_procs(tree, timeout=_PATIENCE_SECONDS)
    for member in alive:
        _signal(member.kill)
    process.wait()


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.Error:
        return


def _failure(name: str, code: int, log: Path) -> str:
    """Its own error, where it says one, else the last lines of its log: what runs it may say much after it."""
    lines = log.read_text(errors="replace").splitlines()
    ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    if errors := [line for line in lines if line.startswith("error: ")]:
        return f"step {name!r} {ended}; its log is {log}:\n  | {errors[-1]}"
    shown = "\n".join(f"  | {line}" for line in lines[-SHOWN_LINES:])
    return f"step {name!r} {ended}; the last lines of {log}:\n{shown}"
