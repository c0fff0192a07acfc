"""Reading a lake: column mapping, tolerance for what is optional, refusal by name of the rest."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import day, event, profile, write_lake, write_table

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from spark_jobs.lake import LakeTables, open_lake
from spark_jobs.validate_lake import lake_report, printed

NAIVE = pa.timestamp("us")


def opened(spark, lake: Path) -> LakeTables:
    return open_lake(spark, Settings(lake=str(lake)))


def refusal(spark, lake: Path) -> str:
    with pytest.raises(FoundError) as error:
        opened(spark, lake)
    return str(error.value)


def clicks(*rows, **description):
    return {"clicks": list(rows) or [event("clicks", "u1", day(1))]} | description


def lake_with(tmp_path: Path, source: str, row: dict, schema: dict | None = None) -> Path:
    """A lake of one source with one row, columns typed by `schema`."""
    lake = write_lake(tmp_path / "shop", {}, sources=[source])
    write_table(lake / source, [row], schema)
    return lake


def test_a_missing_optional_column_is_null(spark, tmp_path):
    lake = write_lake(tmp_path / "shop", {"bills": [event("bills", "u1", day(1), item="tea")]})

    row = opened(spark, lake).tables["bills"].first()

    assert (row["item"], row["channel"], row["amount"]) == ("tea", None, None)


def test_an_all_null_column_of_another_type_is_a_missing_one(spark, tmp_path):
    row = event("bills", "u1", day(1), status=None, amount=None)
    lake = lake_with(tmp_path, "bills", row, {"status": pa.int64(), "amount": pa.string()})

    assert opened(spark, lake).tables["bills"].first()["status"] is None


def test_whole_numbers_serve_as_amounts_and_numbers_that_are_no_money_as_missing(spark, tmp_path):
    rows = [event("bills", "u1", day(n), amount=a) for n, a in enumerate([7.0, float("nan"), float("inf"), 1e12])]
    lake = write_lake(tmp_path / "shop", {"bills": rows})
    whole = lake_with(tmp_path / "2", "bills", event("bills", "u1", day(1), amount=7), {"amount": pa.int32()})

    amounts = [row["amount"] for row in opened(spark, lake).tables["bills"].orderBy("event_time").collect()]

    assert amounts == [7.0, None, None, None]
    assert opened(spark, whole).tables["bills"].first()["amount"] == 7.0


def test_lake_yaml_maps_tables_and_columns(spark, tmp_path):
    row = {"client": "u1", "at": day(3), "product": "tea"}
    write_table(tmp_path / "elsewhere", [row], {"at": pa.timestamp("us", tz="UTC")})
    columns = {"bills": {"user_id": "client", "event_time": "at", "item": "product"}}
    lake = write_lake(tmp_path / "shop", {}, sources=["bills"], columns=columns, tables={"bills": "../elsewhere"})

    read = opened(spark, lake).tables["bills"].select("user_id", "item").first()

    assert tuple(read) == ("u1", "tea")


def test_a_table_of_the_catalogue_serves_as_a_source(spark, tmp_path):
    write_table(tmp_path / "rows", [event("clicks", "u1", day(1))])
    spark.read.parquet(str(tmp_path / "rows")).createOrReplaceTempView("shop_clicks")
    lake = write_lake(tmp_path / "shop", {}, sources=["clicks"], tables={"clicks": "shop_clicks"})

    assert opened(spark, lake).tables["clicks"].count() == 1


def test_profiles_keep_their_own_columns_as_strings_and_doubles(spark, tmp_path):
    row = profile("u1", day(1), vip=True, age=30, city="Rome")
    lake = write_lake(tmp_path / "shop", clicks() | {"profiles": [row]})

    profiles = opened(spark, lake).profiles

    assert dict(profiles.dtypes) | {} == {
        "user_id": "string", "valid_from": "timestamp", "age": "double", "city": "string", "vip": "string"
    }  # fmt: skip
    assert tuple(profiles.select("age", "city", "vip").first()) == (30.0, "Rome", "true")


def test_a_lake_ends_just_after_its_last_event_unless_it_says_when(spark, tmp_path):
    rows = clicks(event("clicks", "u1", day(1)), event("clicks", "u1", day(9)))
    silent = write_lake(tmp_path / "silent", rows)
    told = write_lake(tmp_path / "told", rows, ends="2023-05-01")

    assert opened(spark, silent).ends == day(9) + timedelta(microseconds=1)
    assert opened(spark, told).ends == datetime(2023, 5, 1, tzinfo=UTC)


def test_an_older_file_without_an_optional_column_is_read_beside_a_newer_one(spark, tmp_path):
    lake = write_lake(tmp_path / "shop", {"bills": [event("bills", "u1", day(1))]})
    write_table(lake / "bills" / "newer", [event("bills", "u2", day(2), channel="cash")])
    (lake / "bills" / "newer" / "part-00000.parquet").rename(lake / "bills" / "part-00001.parquet")
    (lake / "bills" / "newer").rmdir()

    rows = opened(spark, lake).tables["bills"].orderBy("user_id").collect()

    assert [(row["user_id"], row["channel"]) for row in rows] == [("u1", None), ("u2", "cash")]


class TestRefusals:
    """Each names the table, the column, a row and the remedy."""

    def test_no_lake_yaml(self, spark, tmp_path):
        assert refusal(spark, tmp_path) == (
            f"{tmp_path} is not a lake: expected the file {tmp_path}/lake.yaml. Write one with `name` and `sources`."
        )

    def test_broken_yaml(self, spark, tmp_path):
        (tmp_path / "lake.yaml").write_text("name: [")
        assert f"{tmp_path}/lake.yaml is not valid YAML in UTF-8: " in refusal(spark, tmp_path)

    def test_an_unknown_source(self, spark, tmp_path):
        lake = write_lake(tmp_path / "shop", clicks(), sources=["clicks", "orders"])
        assert "unknown source ['orders']; a source is one of ['bills', 'clicks'" in refusal(spark, lake)

    def test_a_listed_source_whose_folder_is_missing(self, spark, tmp_path):
        lake = write_lake(tmp_path / "shop", clicks(), sources=["clicks", "visits"])
        assert refusal(spark, lake) == (
            f"shop: source 'visits' is listed in lake.yaml, but neither the folder {lake}/visits nor a table 'visits' "
            "exists. Write the table, map it under `tables:`, or take the source off the list."
        )

    def test_a_folder_without_parquet(self, spark, tmp_path):
        lake = write_lake(tmp_path / "shop", clicks(), sources=["clicks", "visits"])
        (lake / "visits").mkdir()
        told = refusal(spark, lake)
        assert f"shop: the table 'visits' at {lake}/visits cannot be read as one parquet table: " in told
        assert told.endswith("Write parquet files of one schema there.")

    def test_files_of_two_schemas(self, spark, tmp_path):
        lake = lake_with(tmp_path, "clicks", event("clicks", "u1", day(1)))
        write_table(lake / "x", [event("clicks", "u1", day(1), element=3)], {"element": pa.int64()})
        (lake / "x" / "part-00000.parquet").rename(lake / "clicks" / "part-00001.parquet")
        write_table(lake / "x", [event("clicks", "u1", day(1), element="a")])
        (lake / "x" / "part-00000.parquet").rename(lake / "clicks" / "part-00002.parquet")
        assert f"shop: the table 'clicks' at {lake}/clicks cannot be read as one parquet" in refusal(spark, lake)

    def test_a_missing_required_column(self, spark, tmp_path):
        lake = lake_with(tmp_path, "visits", {"user_id": "u1", "event_time": day(1), "app": "shop"})
        assert refusal(spark, lake) == (
            "shop: table 'visits' lacks the required column 'title'; it has ['user_id', 'event_time', 'app'], e.g. "
            '{"user_id":"u1","event_time":"2022-01-02T00:00:00.000Z","app":"shop"}. '
            "Add it, or map yours in lake.yaml: `columns: {visits: {title: YOUR_NAME}}`."
        )

    def test_a_mapped_column_that_is_not_there(self, spark, tmp_path):
        lake = write_lake(tmp_path / "shop", clicks(), columns={"clicks": {"page": "url"}})
        assert "'page' of 'clicks' is called 'url', which the table lacks; it has" in refusal(spark, lake)

    def test_a_required_column_of_nothing_but_nulls(self, spark, tmp_path):
        lake = lake_with(tmp_path, "searches", event("searches", "u1", day(1), query=None), {"query": pa.string()})
        assert refusal(spark, lake) == (
            "shop: column 'query' of 'searches' is required but null in every row, e.g. "
            '{"user_id":"u1","event_time":"2022-01-02T00:00:00.000Z"}. Fill it, or map yours in lake.yaml.'
        )

    def test_a_user_id_that_is_no_string(self, spark, tmp_path):
        lake = lake_with(tmp_path, "clicks", event("clicks", 17, day(1)), {"user_id": pa.int64()})
        assert refusal(spark, lake) == (
            "shop: column 'user_id' of 'clicks' must be string, found bigint, e.g. in "
            '{"user_id":17,"event_time":"2022-01-02T00:00:00.000Z","page":"some page"}: '
            "cast it to string, e.g. CAST(user_id AS STRING)."
        )

    def test_an_amount_that_is_text(self, spark, tmp_path):
        lake = lake_with(tmp_path, "bills", event("bills", "u1", day(1), amount="1,5"), {"amount": pa.string()})
        told = refusal(spark, lake)
        assert told.startswith("shop: column 'amount' of 'bills' must be double, found string, e.g. in {")
        assert told.endswith(": cast it to double; text such as '1,5' is no number.")

    def test_a_time_that_is_text(self, spark, tmp_path):
        row = event("clicks", "u1", "2022-01-02")
        lake = lake_with(tmp_path, "clicks", row, {"event_time": pa.string()})
        told = refusal(spark, lake)
        assert "column 'event_time' of 'clicks' must be timestamp, found string, e.g. in {" in told
        assert told.endswith(": write a UTC timestamp (pandas: pd.to_datetime(..., utc=True); Spark: TIMESTAMP).")

    def test_a_naive_time(self, spark, tmp_path):
        row = event("clicks", "u1", datetime(2022, 1, 2))
        lake = lake_with(tmp_path, "clicks", row, {"event_time": NAIVE})
        assert refusal(spark, lake) == (
            "shop: column 'event_time' of 'clicks' holds naive times (a timestamp without time zone), e.g. in "
            '{"user_id":"u1","event_time":"2022-01-02T00:00:00.000","page":"some page"}: nobody can tell which '
            "instant they mean. Localise them and write UTC (pandas: .dt.tz_localize(ZONE).dt.tz_convert('UTC'))."
        )

    @pytest.mark.parametrize("column", ["user_id", "event_time"])
    def test_a_null_user_or_time(self, spark, tmp_path, column):
        rows = [event("clicks", "u1", day(1)), event("clicks", "u2", day(2), page="bad") | {column: None}]
        told = refusal(spark, write_lake(tmp_path / "shop", clicks(*rows)))
        assert told.startswith(f"shop: column '{column}' of 'clicks' is null in 1 rows, e.g. {{")
        assert '"page":"bad"' in told
        assert told.endswith("}. Drop these rows or fill the column.")

    def test_two_profiles_of_one_user_and_instant(self, spark, tmp_path):
        rows = [profile("u1", day(1), city="Rome"), profile("u2", day(1), city="Oslo"), profile("u1", day(1), city="X")]
        told = refusal(spark, write_lake(tmp_path / "shop", clicks() | {"profiles": rows}))
        assert told.startswith("shop: table 'profiles' has two rows of one (user_id, valid_from), e.g. {\"user_id\":")
        assert '"user_id":"u1"' in told
        assert told.endswith("Keep one row for each user and instant.")

    def test_a_profile_column_that_is_no_category_or_number(self, spark, tmp_path):
        lake = write_lake(tmp_path / "shop", clicks() | {"profiles": [profile("u1", day(1), born=day(0))]})
        told = refusal(spark, lake)
        assert "column 'born' of 'profiles' must be string or bool (a category) or a number, found timestamp" in told
        assert told.endswith("Cast it to one of these, or drop it.")

    def test_a_profile_column_with_a_name_that_is_taken(self, spark, tmp_path):
        lake = write_lake(tmp_path / "shop", clicks() | {"profiles": [profile("u1", day(1), event_timestamp="x")]})
        assert refusal(spark, lake) == (
            "shop: the column 'event_timestamp' of 'profiles' has a name that FOUND needs itself. "
            "Rename it, or map it under `columns:` in lake.yaml."
        )

    def test_an_empty_lake(self, spark, tmp_path):
        lake = lake_with(tmp_path, "clicks", event("clicks", "u1", day(1)))
        spark.read.parquet(str(lake / "clicks")).limit(0).coalesce(1).write.mode("overwrite").parquet(
            str(lake / "clicks")
        )
        assert refusal(spark, lake) == ("the lake shop is empty: no row in ['clicks']. Fill at least one event table.")


class TestReport:
    def test_it_tells_rows_users_span_nulls_and_texts_of_each_source(self, spark, tmp_path):
        rows = [event("bills", "u1", day(1), item="tea", channel="cash"), event("bills", "u1", day(3), item="tea")]
        tables = {"bills": rows, "profiles": [profile("u2", day(1), city="Rome", vip=False)]}
        report = lake_report(spark, Settings(lake=str(write_lake(tmp_path / "shop", tables))))

        assert report["name"] == "shop"
        assert report["first_event"] == "2022-01-02T00:00:00+00:00"
        assert report["last_event"] == "2022-01-04T00:00:00+00:00"
        assert report["ends"] == "2022-01-04T00:00:00.000001+00:00"
        bills, profiles = report["sources"]["bills"], report["sources"]["profiles"]
        assert {k: bills[k] for k in ("rows", "users", "first", "last", "distinct_texts")} == {
            "rows": 2, "users": 1, "distinct_texts": 1,
            "first": "2022-01-02T00:00:00+00:00", "last": "2022-01-04T00:00:00+00:00",
        }  # fmt: skip
        assert (bills["nulls"]["item"], bills["nulls"]["channel"], bills["nulls"]["amount"]) == (0.0, 0.5, 1.0)
        assert (profiles["rows"], profiles["distinct_texts"]) == (1, 2)
        assert "  bills: 2 rows of 1 users, 1 distinct texts" in printed(report)
        assert "channel 50.0%" in printed(report)

    def test_the_job_writes_it_below_the_workdir_and_ends_with_2_where_it_refuses(self, tmp_path):
        job = [sys.executable, "spark_jobs/validate_lake.py", "--workdir", str(tmp_path / "work")]
        lake = write_lake(tmp_path / "shop", clicks())
        root = Path(__file__).parents[1]

        fine = subprocess.run([*job, "--lake", str(lake)], cwd=root, capture_output=True, text=True, check=False)
        refused = subprocess.run([*job, "--lake", str(tmp_path)], cwd=root, capture_output=True, text=True, check=False)

        assert fine.returncode == 0, fine.stderr
        assert json.loads((tmp_path / "work/lake_report.json").read_text())["sources"]["clicks"]["rows"] == 1
        assert refused.returncode == 2
        assert [line for line in refused.stderr.splitlines() if line.startswith("error: ")] == [
            f"error: {tmp_path} is not a lake: expected the file {tmp_path}/lake.yaml. "
            "Write one with `name` and `sources`."
        ]


def test_real_lakes_are_accepted(spark, lakes):
    for lake in lakes:
        tables = opened(spark, lake)

        assert tables.lake.name == lake.name
        assert tables.first_event < tables.last_event < tables.ends


@pytest.mark.parametrize("kind", [pa.timestamp("ns", tz="UTC"), pa.timestamp("ms", tz="UTC")])
def test_times_are_read_whatever_unit_they_were_written_in(spark, tmp_path, kind):
    """pandas writes nanoseconds."""
    lake = lake_with(tmp_path, "clicks", event("clicks", "u1", day(1)), {"event_time": kind})

    assert opened(spark, lake).first_event == day(1)


def test_naive_nanoseconds_are_naive_times(spark, tmp_path):
    lake = lake_with(tmp_path, "clicks", event("clicks", "u1", day(1)), {"event_time": pa.timestamp("ns")})

    assert "holds naive times" in refusal(spark, lake)


@pytest.mark.parametrize("name", ["part-0.csv", "README.md"])
@pytest.mark.parametrize("content", [b"user_id,event_time\n", b"PAR1 cut off"])
def test_a_file_that_is_no_parquet_is_named(spark, tmp_path, name, content):
    lake = write_lake(tmp_path / "shop", clicks())
    (lake / "clicks" / "_SUCCESS").write_bytes(b"")
    (lake / "clicks" / ".hidden").write_bytes(b"x")
    opened(spark, lake)
    (lake / "clicks" / name).write_bytes(content)

    assert f"must hold Parquet files alone, but {name} ({len(content)} bytes) is none" in refusal(spark, lake)


@pytest.mark.parametrize("user", ["", " 7", "7 ", "7\u00a0", "a\nb", "a\x00b", "é" * 129])
def test_an_id_that_no_list_can_name_is_refused(spark, tmp_path, user):
    lake = write_lake(tmp_path / "shop", clicks(event("clicks", "7", day(1)), event("clicks", user, day(1))))

    told = refusal(spark, lake)

    assert "1 rows of 'clicks' have a user_id that no list of users can name, e.g. " in told and "TRIM" in told


@pytest.mark.parametrize("user", ["é" * 128, "007", "a b", "'; --", "{{ x }}", "😀"])
def test_an_id_may_be_any_other_text(spark, tmp_path, user):
    assert opened(spark, write_lake(tmp_path / "shop", clicks(event("clicks", user, day(1))))).first_event == day(1)


@pytest.mark.parametrize("at", [datetime(1969, 12, 31, tzinfo=UTC), datetime(1970, 1, 1), datetime(9999, 12, 31)])
def test_a_time_that_stands_for_none_is_refused(spark, tmp_path, at):
    odd = event("clicks", "u2", at.replace(tzinfo=UTC))

    told = refusal(spark, write_lake(tmp_path / "shop", clicks(event("clicks", "u1", day(1)), odd)))

    assert f"'clicks' has an event at {at:%Y-%m-%d}" in told and '"user_id":"u2"' in told


def test_a_profile_may_be_valid_since_ever(spark, tmp_path):
    since = profile("u1", datetime(1970, 1, 1, tzinfo=UTC))

    assert opened(spark, write_lake(tmp_path / "shop", clicks(profiles=[since]))).first_event == day(1)


def test_a_mapped_name_that_the_table_lacks_is_refused(spark, tmp_path):
    bills = [event("bills", "u1", day(1), amount=5.0)]
    lake = write_lake(tmp_path / "shop", {"bills": bills}, columns={"bills": {"amount": "price"}})

    assert "'amount' of 'bills' is called 'price', which the table lacks" in refusal(spark, lake)


@pytest.mark.parametrize("name", ["ds", "DS", "cutoff_day", "event_timestamp"])
def test_a_profile_column_of_a_name_that_is_taken_is_refused(spark, tmp_path, name):
    lake = write_lake(tmp_path / "shop", clicks(profiles=[profile("u1", day(0), **{name: "x"})]))

    assert f"the column {name!r} of 'profiles' has a name that FOUND needs itself" in refusal(spark, lake)


def test_a_table_without_rows_is_none(spark, tmp_path):
    lake = write_lake(tmp_path / "shop", clicks(), sources=["clicks", "searches"])
    (lake / "searches").mkdir()
    empty = pa.table({name: pa.array([], pa.null()) for name in ("user_id", "event_time", "query")})
    pq.write_table(empty, lake / "searches" / "part-0.parquet")

    assert opened(spark, lake).tables["searches"].count() == 0


def test_an_end_before_the_first_event_is_refused(spark, tmp_path):
    lake = write_lake(tmp_path / "shop", clicks(), ends="2000-01-01")

    assert "`ends` in lake.yaml is 2000-01-01 00:00, but the first event is at" in refusal(spark, lake)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nsources: bills", "`sources` is a list, as in"),
        ("name: x\nsources: [bills]\ncolumns: {bills: null}", "`columns`.bills maps our column names to theirs"),
        ("name: x\nsources: [bills]\ntimezone: Europe/Berlin", "times are in UTC and timezone says nothing else"),
        ("name: \xff", "is not valid YAML in UTF-8"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused(spark, tmp_path, text, told):
    (tmp_path / "lake.yaml").write_bytes(text.encode("latin-1"))

    assert told in refusal(spark, tmp_path)
