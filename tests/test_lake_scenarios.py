"""The scenarios of a lake are checked before anything is trained."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.scenarios import LABELS, SCENARIOS
from spark_jobs.lake_scenarios import scenario_report

ONE = "{id: one, demand: Tea drinkers, cutoff: 2024-01-01, horizon_days: 30}"
TWO = "{id: two, demand: Nobody, cutoff: 2024-01-01, horizon_days: 30}"


def lake(
    root: Path, rows: list[tuple] | None, *, columns: tuple = ("scenario_id", "user_id", "label", "split")
) -> Path:
    (root / SCENARIOS).parent.mkdir()
    (root / SCENARIOS).write_text(f"- {ONE}\n- {TWO}\n")
    if rows is not None:
        pq.write_table(pa.table({c: [row[at] for row in rows] for at, c in enumerate(columns)}), root / LABELS)
    return root


def test_scenarios_are_counted_and_those_without_both_kinds_are_named(tmp_path):
    rows = [("one", "a", 1, "eval"), ("one", "b", 0, "eval"), ("two", "a", 0, "eval"), ("two", "b", 1, "fit")]

    assert scenario_report(lake(tmp_path, rows)) == [
        "scenarios: 2, 1 with users of both kinds to be measured by; nobody or everybody does it, so that nothing is "
        "measured: two"
    ]


def test_a_lake_needs_neither_scenarios_nor_labels(tmp_path):
    assert scenario_report(tmp_path) == []
    assert scenario_report(lake(tmp_path, None)) == [
        "scenarios: 2, without labels: found evaluate needs scenarios/labels.parquet"
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("one", None, 1, "eval"), "user_id is null in 1 rows"),
        (("three", "a", 1, "eval"), r"scenario_id is one of \['one', 'two'\], found \['three'\]"),
        (("one", "a", 2, "eval"), r"label is one of \[0, 1\], found \[2\]"),
        (("one", "a", 1, "test"), r"split is one of \['fit', 'eval'\], found \['test'\]"),
    ],
)
def test_labels_that_mean_nothing_are_refused(tmp_path, row, told):
    with pytest.raises(FoundError, match=told):
        scenario_report(lake(tmp_path, [("one", "z", 0, "fit"), row]))


def test_labels_without_a_column_or_that_are_no_table_are_refused(tmp_path):
    with pytest.raises(FoundError, match=r"lacks the columns \['label', 'split'\]; it has "):
        scenario_report(lake(tmp_path, [("one", "a")], columns=("scenario_id", "user_id")))
    (tmp_path / LABELS).write_text("no table")
    with pytest.raises(FoundError, match="cannot be read as Parquet"):
        scenario_report(tmp_path)
