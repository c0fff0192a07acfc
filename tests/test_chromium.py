"""Chromium for the tests of the page: there already, installed once by root, or a line that says what is skipped."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "chromium.sh"
SKIPPED = "the tests of the page in a browser will be skipped"


@pytest.fixture
def clone(tmp_path):
    """A clone with the ordinary tools alone; `run` is the script there, as a user of this number."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "mkdir"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "found" / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "found" / "scripts" / "chromium.sh")

    def run(*, user: int = 0, **environment: str) -> tuple[int, str]:
        tool(tools / "id", f"echo {user}")
        done = subprocess.run(
            [tmp_path / "found" / "scripts" / "chromium.sh"],
            env={"PATH": str(tools), **environment},
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.returncode, done.stdout + done.stderr

    return tools, run


def tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_browser_that_is_there_is_left_alone(clone):
    tools, run = clone
    tool(tools / "google-chrome", "")
    assert run() == (0, "")
    assert run(FOUND_BROWSER="google-chrome") == (0, "")


def test_root_gets_one_from_apt_once_in_one_line(clone):
    tools, run = clone
    tool(
        tools / "apt-get",
        f'[ "$1" != install ] || {{ printf "#!/bin/sh\\n" > {tools}/chromium; '
        f"/bin/chmod +x {tools}/chromium; }}; echo much noise",
    )

    code, told = run()

    assert code == 0 and told.startswith("set-up: chromium, for the tests of the page ... ") and told.count("\n") == 1
    assert run() == (0, "")


@pytest.mark.parametrize(
    ("user", "apt", "told"),
    [(1000, "exit 1", "not root"), (0, "exit 1", "apt-get failed, see work/chromium.log"), (0, "", "no apt-get")],
)
def test_what_keeps_it_away_is_told_and_fails_nothing(clone, user, apt, told):
    tools, run = clone
    if apt:
        tool(tools / "apt-get", apt)

    code, said = run(user=user)

    assert code == 0 and told in said and SKIPPED in said
