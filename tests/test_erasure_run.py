"""A user of a lake is erased after a whole run: no file below the work directory holds the id, and no later run brings
it back."""

import subprocess
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from erasure_checks import mentions
from served_lake import BIN, DS, ROOT, USERS, environment, write_tiny_lake

from feature_repo.contracts.names import EMBEDDING, INPUT_VIEWS
from feature_repo.contracts.settings import Settings, read_settings
from feature_repo.contracts.steps import INTERESTS, NIGHTLY, TRAINING
from feature_repo.contracts.templates import EVENT_TEMPLATES, event_text, text_key
from serving.cli import main
from serving.errors import UserWithoutFeatures
from serving.index import open_index
from serving.user_features import OnlineFeatures

pytestmark = pytest.mark.slow

GONE, RENAMED = "zoe@example.org", "u007"
LETTERS = "letters to Zoe Example"
BACK = ("features", "materialize", "embed", "publish", "materialize_embedding")


def rename(lake: Path) -> None:
    """The lake with an id that occurs nowhere else as text, and a search that nobody else made."""
    for path in lake.rglob("*.parquet"):
        table = pq.read_table(path)
        users = [GONE if user == RENAMED else user for user in table["user_id"].to_pylist()]
        table = table.set_column(0, "user_id", [users])
        if "query" in table.column_names:
            own = users.index(GONE)
            queries = [LETTERS if at == own else query for at, query in enumerate(table["query"].to_pylist())]
            table = table.set_column(table.column_names.index("query"), "query", [queries])
        pq.write_table(table, path)


def run(step: str, environ: dict[str, str], work: Path) -> None:
    values = {"ds": DS, "until": DS, "cutoffs": "auto:3", "ranks": "1", "clusters": "8", "period_days": "30"}
    argv = next(each for each in (*TRAINING, *NIGHTLY, *INTERESTS) if each.name == step).argv(values)
    with (work / "logs" / f"{step}.log").open("w") as log:
        code = subprocess.run(
            [str(BIN / argv[0]), *argv[1:]], env=environ, stdout=log, stderr=log, timeout=600, cwd=ROOT
        ).returncode
    assert code == 0, (work / "logs" / f"{step}.log").read_text()[-3000:]


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Settings, dict[str, str]]:
    """The settings and the environment in which every step ran, LURM's too."""
    root = tmp_path_factory.mktemp("ran")
    write_tiny_lake(root / "lake")
    rename(root / "lake")
    (root / "work" / "logs").mkdir(parents=True)
    short = {"HORIZON_DAYS": "14", "HISTORY_DAYS": "120", "MAX_EVENTS": "16", "MAX_SEARCHES": "8", "MAX_FUTURE": "16"}
    given = {"LAKE": str(root / "lake"), "WORKDIR": str(root / "work"), "RECIPE": "tiny", **short}
    environ = environment(root / "airflow", **{f"FOUND_{name}": value for name, value in given.items()})
    for step in ("pairs", "stage1", "stage2", *BACK, "texts", "clusters", "bags"):
        run(step, environ, root / "work")
    (root / "work" / "logs" / "crash.log").write_text(f'e.g. {{"user_id": "{GONE}", "query": "{LETTERS}"}}\n')
    return read_settings(environ, root), environ


def test_an_erased_user_leaves_no_trace_and_does_not_come_back(ran, capsys):
    settings, environ = ran
    work = settings.work
    key = text_key(event_text(EVENT_TEMPLATES["searches"], {"query": LETTERS}))
    before = mentions(work.root, GONE)
    assert {name.split("/")[0] for name in before} >= {"features", ".runs", "feast", "milvus.db", "interests", "logs"}
    assert mentions(work.root, LETTERS) and mentions(work.root, str(key)), "the text is kept, and its key"

    assert main(["erase", GONE, "--workdir", settings.workdir, "--lake", settings.lake]) == 0

    told = capsys.readouterr().out
    assert GONE not in told
    assert "".join(f"  {name}/part-00000.parquet\n" for name in ("bills", "profiles", "searches")) in told
    assert mentions(work.root, GONE) == []
    assert mentions(work.root, str(text_key(GONE))) == []
    assert mentions(work.root, str(key)) == []
    assert [name for name in mentions(work.root, LETTERS) if name != "logs/crash.log"] == []

    for step in ("pairs", *BACK, "texts"):
        run(step, environ, work.root)

    assert mentions(work.root, GONE) == []
    assert [name for name in mentions(work.root, LETTERS) if name != "logs/crash.log"] == []
    for view in (*INPUT_VIEWS, EMBEDDING):
        users = pq.read_table(str(work.partition(view, date.fromisoformat(DS))))["user_id"].to_pylist()
        assert len(users) == USERS - 1, view
    with open_index(settings) as index:
        assert index.count(index.published().collection) == USERS - 1
    with pytest.raises(UserWithoutFeatures):
        OnlineFeatures(settings).of(GONE)
    assert "zoe" not in (work.erasure / "blocked").read_text()
    assert len((work.erasure / "blocked").read_text().split()) == 1
