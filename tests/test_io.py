"""Publication: whole or not at all, repaired by the next run, the same bytes from every run."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import story_lake

from feature_repo.contracts.errors import FoundError
from spark_jobs.parquet_footer import canonical
from spark_jobs.partitions import laid_out, publish, publish_all, write_by, write_files, write_json

ROOT = Path(__file__).parents[1]


def written(text: str):
    return lambda folder: (folder / "value").write_text(text) and None


def digests(folder: Path) -> dict[str, str]:
    """Every file that a reader sees below a folder, by its hash."""
    files = (Path(at) / name for at, _, names in os.walk(folder, followlinks=True) for name in names)
    seen = [f for f in files if ".runs" not in f.relative_to(folder).parts]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(seen)}


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / ".runs").iterdir() if p.suffix != ".lock")


def test_a_published_path_shows_what_was_written_last(tmp_path):
    for text in ("first", "second", "third"):
        publish(tmp_path / "ds=1", written(text))
        assert (tmp_path / "ds=1" / "value").read_text() == text

    assert len(leftovers(tmp_path)) == 1, "nothing of the earlier runs is left"


def test_a_failed_write_leaves_the_previous_content_and_no_trace(tmp_path):
    publish(tmp_path / "ds=1", written("old"))

    def fails(folder: Path) -> None:
        (folder / "value").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(tmp_path / "ds=1", fails)

    assert (tmp_path / "ds=1" / "value").read_text() == "old"
    assert len(leftovers(tmp_path)) == 1


def test_several_paths_are_swapped_only_when_all_are_written(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    publish_all(paths, lambda folders: [written("old")(f) for f in folders.values()])

    def fails(folders: dict[Path, Path]) -> None:
        written("new")(folders[paths[0]])
        raise OSError

    with pytest.raises(OSError):
        publish_all(paths, fails)

    assert [(p / "value").read_text() for p in paths] == ["old", "old"]


def test_a_folder_that_somebody_else_made_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()

    with pytest.raises(FoundError) as error:
        publish(tmp_path / "mine", written("x"))

    assert str(error.value) == (
        f"{tmp_path}/mine exists and was not published by FOUND: remove it, or choose another output."
    )


KILLED_AT = {
    "while writing": "write = lambda folder: ((folder / 'value').write_text('half'), os._exit(9))",
    "written, before the swap": "publication._swap = lambda path, folder: os._exit(9)",
    "the link made, before it is moved": "publication.os.replace = lambda *a: os._exit(9)",
    "swapped, before the old run is removed": (
        "swap = publication._swap; publication._swap = lambda path, folder: (swap(path, folder), os._exit(9))"
    ),
}


@pytest.mark.parametrize("point", KILLED_AT)
def test_a_killed_run_leaves_a_readable_partition_and_a_re_run_repairs(tmp_path, point):
    publish(tmp_path / "ds=1", written("old"))
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom feature_repo.contracts import publication\n"
        "write = lambda folder: (folder / 'value').write_text('new')\n"
        f"{KILLED_AT[point]}\npublication.publish(Path(sys.argv[1]), write)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "ds=1")], cwd=ROOT, check=False)

    assert killed.returncode == 9
    shown = (tmp_path / "ds=1" / "value").read_text()
    assert shown == ("new" if point.startswith("swapped") else "old"), "never half of a run"

    publish(tmp_path / "ds=1", written("repaired"))

    assert (tmp_path / "ds=1" / "value").read_text() == "repaired"
    assert len(leftovers(tmp_path)) == 1, "the killed run's leftovers are gone"


TWO_WRITERS = """
import sys, time
from pathlib import Path
from feature_repo.contracts.publication import publish_all
path, other, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def write(folders):
    for folder in folders.values():
        for number in range(20):
            (folder / str(number)).write_text(name)
            time.sleep(0.01)
publish_all([path, other] if name == "a" else [other, path], write)
"""


def test_of_two_runs_of_one_path_each_is_whole_and_one_wins(tmp_path):
    paths = [str(tmp_path / "ds=1"), str(tmp_path / "ds=2")]
    runs = [subprocess.Popen([sys.executable, "-c", TWO_WRITERS, *paths, name], cwd=ROOT) for name in "ab"]

    assert [run.wait() for run in runs] == [0, 0]
    shown = {Path(path, str(number)).read_text() for path in paths for number in range(20)}
    assert len(shown) == 1 and len(leftovers(tmp_path)) == 2


def test_json_is_replaced_whole_and_ordered(tmp_path):
    write_json(tmp_path / "a" / "m.json", {"b": 1, "a": "é"})

    assert (tmp_path / "a" / "m.json").read_text() == '{\n "a": "é",\n "b": 1\n}\n'
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["m.json"]


def test_files_are_numbered_sorted_and_without_traces_of_spark(spark, tmp_path):
    frame = spark.range(100).selectExpr("cast(id as string) user_id", "id % 2 as ds")

    write_by(laid_out(frame, "ds", key="user_id", files=1, partitions=2), tmp_path / "out", "ds")

    assert sorted(digests(tmp_path)) == ["out/ds=0/part-00000.parquet", "out/ds=1/part-00000.parquet"]
    users = pq.read_table(tmp_path / "out/ds=0/part-00000.parquet")["user_id"].to_pylist()
    assert users == sorted(str(n) for n in range(0, 100, 2))


def test_the_same_rows_give_the_same_bytes_however_they_lay_before(spark, tmp_path):
    frame = spark.range(1_000).selectExpr("cast(id as string) user_id", "id % 3 as ds", "id * 2 as n")
    for name, partitions in (("a", 7), ("b", 2)):
        spread = frame.repartition(partitions)
        write_by(laid_out(spread, "ds", key="user_id", files=2, partitions=4), tmp_path / name, "ds")
        write_files(spread.coalesce(1).sortWithinPartitions("user_id"), tmp_path / name / "all")

    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_a_footer_is_canonical_whatever_order_its_writer_chose(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1, 2, 2], "b": [["x"], [], None]}), path)
    canonical(path)
    once, encodings = path.read_bytes(), _encodings(path)

    shuffled = bytearray(once)
    for row in encodings:
        shuffled[row] = shuffled[row][::-1]
    path.write_bytes(shuffled)
    assert bytes(shuffled) != once
    canonical(path)

    assert path.read_bytes() == once
    assert pq.read_table(path).to_pydict() == {"a": [1, 2, 2], "b": [["x"], [], None]}


def _encodings(path: Path) -> list[slice]:
    from spark_jobs.parquet_footer import _encodings as found

    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    return [slice(start + a, start + b) for a, b in found(bytearray(data[start:-8]))]


KILL_BEFORE_PUBLISHING = """
import os, sys
from spark_jobs import build_features as job, features, session
checked = features.check_snapshots
point = sys.argv.pop()
features.check_snapshots = lambda view, *rest: os._exit(9) if view == point else checked(view, *rest)
session.main(job.run, job.arguments(), sys.argv[1:])
"""


def test_build_features_killed_midway_leaves_the_old_snapshot_and_repairs_with_the_same_bytes(spark, tmp_path):
    from datetime import date

    from feature_repo.contracts.settings import Settings
    from spark_jobs.build_features import build_features

    lake, work = story_lake(tmp_path / "lake", users=6, days=60), tmp_path / "work"
    settings = Settings(lake=str(lake), workdir=str(work), max_events=8, max_searches=4)
    build_features(spark, settings, [date(2022, 2, 1)])
    before = digests(work)
    options = ["--lake", str(lake), "--workdir", str(work), "--max-events", "8", "--max-searches", "4"]
    command = [sys.executable, "-c", KILL_BEFORE_PUBLISHING, *options, "--ds", "2022-02-01"]

    killed = subprocess.run([*command, "history"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert killed.returncode == 9, killed.stderr
    visible = {name: digest for name, digest in digests(work).items() if ".staging" not in name}
    assert visible == before, "a reader sees the old snapshot"
    job = [sys.executable, "spark_jobs/build_features.py", *options, "--ds", "2022-02-01"]
    again = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert digests(work) == before, "another process, another JVM: the same bytes, and no staging left"


def test_the_jvm_starts_with_the_projects_configuration(spark):
    assert spark.conf.get("spark.driver.memory") == "3g"
    assert spark._jvm.java.lang.Runtime.getRuntime().maxMemory() > 2 * 2**30
