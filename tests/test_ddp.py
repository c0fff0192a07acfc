"""Two gloo processes give one process's gradients, and uneven shards cannot hang."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from model_pairs import write_pairs

SCRIPT = Path(__file__).parent / "ddp_gradients.py"
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def report(tmp_path_factory, text_cache):
    """What two processes found, on files so uneven that one rank runs out long before the other."""
    folder = tmp_path_factory.mktemp("ddp")
    pairs = write_pairs(folder / "pairs", rows_per_file=(20, 1, 1))
    command = ["torchrun", "--standalone", "--nproc-per-node=2", str(SCRIPT), pairs, text_cache, folder / "models"]
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
        pytest.fail(f"two processes hung for {TIMEOUT_S} s:\n{output[-3000:]}")
    assert process.returncode == 0, output[-3000:]
    line = next(line for line in output.splitlines() if line.startswith("REPORT"))
    return json.loads(line.removeprefix("REPORT"))


@pytest.mark.parametrize("split", ["even", "uneven", "one rank out of data"])
@pytest.mark.parametrize(("stage", "groups"), [(1, {"user", "tasks"}), (2, {"user", "text", "lora", "late"})])
def test_two_processes_give_the_gradient_of_one(report, stage, groups, split):
    differences = report[f"stage {stage}, {split}"]

    assert set(differences) == groups
    assert max(differences.values()) < 1e-5


@pytest.mark.parametrize("stage", [1, 2])
def test_training_on_uneven_files_ends_with_equal_ranks(report, stage):
    assert report[f"train {stage}"]["steps"] >= 4
    assert report[f"train {stage}"]["apart"] == 0.0
