"""The README's commands, taken from its own text and run on a small lake."""

import re
import subprocess
import sys

import pytest
from served_lake import DS, ROOT, USERS

README = (ROOT / "README.md").read_text()
LAKE_ENDS = re.search(r"build_features\.py --ds (\S+)", README).group(1)  # type: ignore[union-attr]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands(needle: str) -> list[str]:
    """The commands of the shell block that holds `needle`, without their comments."""
    (block,) = [b for b in blocks("sh") if needle in b]
    return [line.split(" #")[0].strip() for line in block.splitlines() if line.strip()]


def of_this_lake(text: str, served) -> str:
    """The README's demo lake, its work directory and its last day become those of the small lake."""
    day = "date({}, {}, {})".format(*map(int, LAKE_ENDS.split("-")))
    here = "date({}, {}, {})".format(*map(int, DS.split("-")))
    text = text.replace("$PWD/work/lakes/demo", str(served.lake)).replace("$PWD/work/demo", str(served.workdir))
    return text.replace('"work/demo"', repr(str(served.workdir))).replace(day, here).replace(LAKE_ENDS, DS)


def run(command: list[str], served, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=served.environ | variables, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_pairs_are_built_by_the_bare_spark_submit(served, tmp_path):
    (command,) = [c for c in commands("build_pairs.py") if "build_pairs.py" in c]
    short = command.replace("auto:16", "auto:2").replace("--horizon-days 30", "--horizon-days 14")

    told = run(["bash", "-c", f"{short} --out {tmp_path / 'pairs'}"], served)

    assert re.search(r"^pairs: \d+ rows in \d+ files$", told, re.M)
    assert list((tmp_path / "pairs" / "pairs").glob("*.parquet"))


def test_the_vectors_and_features_are_ordinary_milvus_and_feast(served):
    (snippet,) = [block for block in blocks("python") if "MilvusClient" in block]
    script = of_this_lake(snippet, served) + "\nprint(len(hits[0]), hits[0][0]['user_id'])\n"

    count, user = run([sys.executable, "-W", "ignore", "-c", script], served).split()

    assert int(count) == 3
    assert user in {f"u{number:03}" for number in range(USERS)}


@pytest.mark.parametrize("verb", ["target", "lookalike"])
def test_a_question_on_the_command_line_prints_a_table_of_users(served, verb):
    (command,) = [c for c in commands("found target") if c.startswith(f"found {verb}")]
    asked = re.sub(r"\bu(\d)\b", r"u00\1", command)

    told = run(["bash", "-c", asked], served)

    heading, columns, *_ = told.splitlines()
    assert heading.startswith("audience ")
    assert columns.split() == ["user", "probability", "reason"]


@pytest.mark.slow
def test_every_step_of_the_readme_in_order(served, tmp_path):
    script = "\n".join(of_this_lake(c, served) for c in commands("build_pairs.py"))
    fresh = script.replace(str(served.workdir), str(tmp_path / "work")).replace("--horizon-days 30", "")

    run(["bash", "-euo", "pipefail", "-c", fresh], served)

    assert (tmp_path / "work" / "milvus.db").exists()


def test_every_make_verb_and_document_that_the_readme_names_exists():
    verbs = set(re.findall(r"make ([a-z-]+)", README))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert verbs <= set(re.findall(r"^  ([a-z-]+) ", listed, re.M))
    assert [p for p in re.findall(r"\]\((docs/[^)]+|[A-Z]+\.md)\)", README) if not (ROOT / p).exists()] == []
