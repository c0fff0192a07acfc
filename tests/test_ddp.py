"""Two and four gloo processes give one process's loss and gradients, and uneven shards cannot hang."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import ddp_gradients
import pytest
from model_pairs import write_pairs

SCRIPT = Path(__file__).parent / "ddp_gradients.py"
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def reports(tmp_path_factory, text_cache):
    """What that many processes found, on files so uneven that one rank runs out long before the others."""
    found = {}

    def report(processes):
        if processes not in found:
            found[processes] = run(processes, tmp_path_factory.mktemp("ddp"), text_cache)
        return found[processes]

    return report


def run(processes, folder, text_cache):
    pairs = write_pairs(folder / "pairs", rows_per_file=(20, 1, 1, 1))
    arguments = [f"--nproc-per-node={processes}", str(SCRIPT), pairs, text_cache, folder / "models"]
    command = ["torchrun", "--standalone", *arguments]
    environment = os.environ | {
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        [str(word) for word in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail(f"{processes} processes hung for {TIMEOUT_S} s:\n{output[-3000:]}")
    assert process.returncode == 0, output[-3000:]
    line = next(line for line in output.splitlines() if line.startswith("REPORT"))
    return json.loads(line.removeprefix("REPORT"))


def marks(processes):
    """Four processes take long on two cores."""
    return [pytest.mark.slow] if processes > 2 else []


PROCESSES = [pytest.param(n, marks=marks(n)) for n in ddp_gradients.SPLITS]
SPLITS = [pytest.param(n, split, marks=marks(n)) for n, splits in ddp_gradients.SPLITS.items() for split in splits]
GROUPS = {
    "stage 1": {"user", "tasks"},
    "stage 2": {"user", "text", "lora", "late"},
    "infonce": {"user", "text", "lora"},
    ddp_gradients.TUNED: {"user", "text", "lora", "late", "events"},
}


@pytest.mark.parametrize(("processes", "split"), SPLITS)
@pytest.mark.parametrize("kind", list(GROUPS))
def test_many_processes_give_the_loss_and_the_gradient_of_one(reports, kind, processes, split):
    differences = reports(processes)[f"{kind}, {split}"]

    assert set(differences) == GROUPS[kind] | {"loss"}
    assert max(differences.values()) < 1e-5


@pytest.mark.parametrize("processes", PROCESSES)
@pytest.mark.parametrize("kind", list(GROUPS))
def test_training_on_uneven_files_ends_with_equal_ranks(reports, kind, processes):
    run = reports(processes)[f"train {kind}"]

    assert run["steps"] >= (2 if kind == ddp_gradients.PATIENT else 4)
    assert run["apart"] == 0.0
