"""The README's commands, taken from its own text and run on a small lake."""

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import ports
import pytest
from browser import chromium, downloaded, find_browser
from page_server import NO_BROWSER
from served_lake import BIN, DS, ROOT, USERS

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


def test_the_page_goes_from_a_sentence_to_an_export(served, tmp_path):
    executable = find_browser()
    if executable is None:
        pytest.skip(NO_BROWSER)
    with found_serve(served) as url, chromium(executable, tmp_path / "profile") as page:
        page.downloads(tmp_path)
        page.open(url)
        page.see(f"{USERS} users, as of", "#lake")
        assert "of 60 users had" in page.run("document.querySelector('.example').title")
        page.write("#demand", "Customers who will buy a tent")
        page.press("Enter")
        page.see(f"Of the likeliest {USERS} users", ".told")
        page.wait("document.querySelector('.map .lit') !== null")
        page.focus("#size-slider")
        page.press("ArrowLeft", times=USERS - 30)
        told = page.see("Of the likeliest 30 users, about ", ".told")
        page.write("#save-name", "From the page")
        page.press("Enter")
        page.see("The promise", "#audience")
        assert told.partition("about ")[2].split()[0] == page.text("#audience .headline .accent")
        page.click("#audience .actions button")
        members = downloaded(tmp_path).read_text().splitlines()
        assert len(members) == 31 and members[0].split(",")[:2] == ["rank", "user_id"]
        assert page.complaints == [] and all(each.startswith((url, "data:", f"blob:{url}")) for each in page.requests)


@contextmanager
def found_serve(served) -> Iterator[str]:
    """The address of `found serve` on the lake, once it is ready."""
    port = ports.unused()
    process = subprocess.Popen([str(BIN / "found"), "serve"], cwd=ROOT, env=served.environ | {"FOUND_PORT": str(port)})
    url = f"http://127.0.0.1:{port}/"
    try:
        until = time.monotonic() + 120
        while not answers(f"{url}readyz"):
            assert process.poll() is None and time.monotonic() < until, "the server did not become ready"
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


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
