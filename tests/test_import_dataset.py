"""Public originals as lakes: exact rows, the contract's own checks, the same bytes, errors by file and column."""

import hashlib
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import originals as made
import pyarrow.parquet as pq
import pytest
import yaml

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving import cli
from spark_jobs.import_dataset import chosen, import_dataset
from spark_jobs.originals.catalogue import DATASETS
from spark_jobs.originals.opened import checksum_warning, opened
from spark_jobs.originals.wording import titled
from spark_jobs.validate_lake import lake_report

ROOT = Path(__file__).parents[1]
BILL = ["user_id", "event_time", "item", "category", "merchant", "amount", "quantity", "channel", "status", "order_id"]
VISIT = ["user_id", "event_time", "app", "title", "description", "action"]
SHAPES = {
    "online_retail": {"bills": BILL, "profiles": ["user_id", "valid_from", "country"]},
    "credit_card": {
        "bills": BILL,
        "profiles": ["user_id", "valid_from", "credit_limit", "sex", "education", "marriage", "age"],
    },
    "movie_tweets": {"visits": VISIT},
    "complete_journey": {
        "bills": BILL,
        "clicks": ["user_id", "event_time", "page", "element"],
        "profiles": [
            "user_id", "valid_from", "age", "marital_status", "income", "home_ownership", "household",
            "household_size", "kids",
        ],
    },
    "movielens": {"visits": VISIT},
    "berka": {
        "bills": BILL,
        "profiles": [
            "user_id", "valid_from", "age", "gender", "district", "region", "district_salary", "statements"
        ],
    },
}  # fmt: skip


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    return made.originals(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="module")
def lakes(spark, sources, tmp_path_factory) -> dict[str, Path]:
    """The lake of each original."""
    root = tmp_path_factory.mktemp("lakes")
    for name, path in sources.items():
        import_dataset(spark, DATASETS[name], path, root / name)
    return {name: root / name for name in sources}


def rows(lake: Path, source: str, *columns: str) -> list[tuple]:
    table = pq.read_table(lake / source)
    return [tuple(row[c] for c in columns) for row in table.to_pylist()]


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def refusal(spark, name: str, path: Path, out: Path) -> str:
    with pytest.raises(FoundError) as error:
        import_dataset(spark, DATASETS[name], path, out / "lake")
    assert not (out / "lake").exists() and not list(out.glob(".runs/*")), "nothing half-written is left"
    return str(error.value)


@pytest.mark.parametrize("name", DATASETS)
def test_a_lake_passes_the_validation_and_has_the_shape_of_its_kind(spark, lakes, name):
    report = lake_report(spark, Settings(lake=str(lakes[name])))

    assert report["name"] == name
    assert {s: pq.read_schema(next((lakes[name] / s).glob("*.parquet"))).names for s in report["sources"]} == SHAPES[
        name
    ]
    schema = pq.read_schema(lakes[name] / next(iter(SHAPES[name])) / "part-00000.parquet")
    assert str(schema.field("event_time").type) == "timestamp[us, tz=UTC]"


@pytest.mark.parametrize("name", DATASETS)
def test_the_same_original_gives_the_same_bytes_in_the_place_of_the_first(spark, lakes, sources, name):
    folder = lakes[name].resolve()
    before = digest(folder)

    import_dataset(spark, DATASETS[name], sources[name], lakes[name])

    assert lakes[name].resolve() != folder and not folder.exists()
    assert digest(lakes[name].resolve()) == before
    assert set(before) == {"lake.yaml", *(f"{source}/part-00000.parquet" for source in SHAPES[name])}


@pytest.mark.parametrize("name", DATASETS)
def test_lake_yaml_says_where_the_data_is_from_and_how_it_may_be_used(lakes, name):
    described, dataset = yaml.safe_load((lakes[name] / "lake.yaml").read_text()), DATASETS[name]

    assert described["name"] == name and described["timezone"] == "UTC" and described["domain"]
    assert (described["source"], described["licence"]) == (dataset.source, dataset.licence)
    assert described.get("currency", "") == dataset.currency
    assert described["sources"] == list(SHAPES[name])


class TestOnlineRetail:
    def test_a_line_is_a_bill_and_a_cancelled_one_has_a_positive_amount(self, lakes):
        found = rows(
            lakes["online_retail"], "bills", *(c for c in BILL if c not in ("category", "merchant", "channel"))
        )

        assert found == [
            ("13085", at(2009, 12, 1, 7, 45), "15Cm Christmas Glass Ball", 83.4, 12.0, "successful", "489434"),
            ("13085", at(2009, 12, 1, 10, 33), "Paper Bunting, 50'S Lace", 35.4, 12.0, "cancelled", "C489449"),
            ("17850", at(2010, 12, 1, 8, 26), "White Metal Lantern", 20.34, 6.0, "successful", "536365"),
            ("17850", at(2010, 12, 1, 8, 26), "White Metal Lantern", 20.34, 6.0, "successful", "536365"),
            ("17850", at(2010, 12, 9, 17, 0), "Hand Warmer", 1.85, 1.0, "successful", "536366"),
            ("17850", at(2011, 12, 9, 12, 50), "Baking Set 9 Piece", 14.85, 3.0, "successful", "581587"),
        ], "no line without a customer or a price; the days of both sheets once, duplicates within a sheet twice"

    def test_the_country_is_that_of_the_first_bill(self, lakes):
        assert rows(lakes["online_retail"], "profiles", "user_id", "valid_from", "country") == [
            ("13085", at(2009, 12, 1, 7, 45), "United Kingdom"),
            ("17850", at(2010, 12, 1, 8, 26), "France"),
        ]

    def test_one_sheet_alone_and_one_file_of_both_count_right(self, spark, tmp_path):
        second = (made.RETAIL_HEADER, *made.RETAIL_BOTH[1:], *made.RETAIL_2011)
        alone = made.write(tmp_path / "second.csv", *second)
        both = made.write(tmp_path / "both.csv", *second, *made.RETAIL_BOTH[1:])

        for path in (alone, both):
            counted = import_dataset(spark, DATASETS["online_retail"], path, tmp_path / "lake")
            assert counted == {"bills": 3, "profiles": 1}

    def test_what_spreadsheets_make_of_it_is_read(self, spark, tmp_path):
        header = "Index;InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country"
        line = "0;c1;D;£5 CAFÉ;-2;12/1/2010 8:26;2.5;17850;EIRE"
        path = made.write(tmp_path / "Online Retail.csv", header, line, encoding="ISO-8859-1", end="\r\n")

        import_dataset(spark, DATASETS["online_retail"], path, tmp_path / "lake")

        found = rows(tmp_path / "lake", "bills", "user_id", "event_time", "item", "amount", "status", "order_id")
        assert found == [("17850", at(2010, 12, 1, 8, 26), "£5 Café", 5.0, "cancelled", "C1")]

    def test_names_are_written_as_pythons_title_does(self, spark):
        names = ["SET/6 T-LIGHTS 125G", "i'M ON   HOLIDAY ", "P'WEIGHT B'DRAW", "CHARLIE+LOLA(X)", "9 £5 ÉTÉ", ""]
        found = spark.createDataFrame([(n,) for n in names], "name string").select(titled("name")).collect()

        assert [row[0] for row in found] == [" ".join(n.split()).title() for n in names]


class TestCreditCard:
    def test_each_month_has_a_statement_and_what_was_repaid(self, lakes):
        told = rows(lakes["credit_card"], "bills", "user_id", "event_time", "item", "amount", "status", "order_id")
        item = "credit card statement, {} of the credit line used".format

        assert [row[1:] for row in told if row[0] == "1"] == [
            (at(2005, 4, 20), "credit card statement, nothing owed", -5.0, "three or more months overdue", "2005-04"),
            (at(2005, 4, 25), "credit card repayment", 60.0, "successful", "2005-04"),
            (at(2005, 5, 20), "credit card statement, nothing owed", 0.0, "no consumption", "2005-05"),
            (at(2005, 6, 20), item("little"), 2000.0, "revolving credit", "2005-06"),
            (at(2005, 7, 20), item("part"), 10000.0, "paid in full", "2005-07"),
            (at(2005, 8, 20), item("more than half"), 18000.0, "one month overdue", "2005-08"),
            (at(2005, 8, 25), "credit card repayment", 700.0, "successful", "2005-08"),
            (
                at(2005, 9, 20), "credit card statement, nearly the whole credit line used", 18001.0,
                "two months overdue", "2005-09",
            ),
        ]  # fmt: skip
        assert {row[1:] for row in rows(lakes["credit_card"], "bills", "item", "category", "channel", "merchant")} == {
            ("credit card", "credit card", "bank"), ("repayment", "bank transfer", "bank")
        }  # fmt: skip

    def test_clients_are_known_from_the_first_month_and_the_last_is_observed_to_its_end(self, lakes):
        assert rows(lakes["credit_card"], "profiles", *SHAPES["credit_card"]["profiles"]) == [
            ("1", at(2005, 4, 1), 20000.0, "female", "university", "married", 24.0),
            ("2", at(2005, 4, 1), 50000.0, "male", "other", "other", 57.0),
        ]
        assert yaml.safe_load((lakes["credit_card"] / "lake.yaml").read_text())["ends"] == "2005-10-01"

    def test_one_csv_of_several_is_asked_for(self, spark, tmp_path):
        made.folder(tmp_path / "two", {"a.csv": ("ID",), "b.csv": ("ID",)})
        told = refusal(spark, "credit_card", tmp_path / "two", tmp_path)
        assert told == f"{tmp_path}/two must hold one csv file, found a.csv, b.csv. Give the one."


class TestFilms:
    def test_a_tweeted_rating_is_a_visit(self, lakes):
        assert rows(lakes["movie_tweets"], "visits", *VISIT) == [
            ("1", at(2013, 3, 31, 0, 35, 42), "film ratings", 'A "Few" Good Mén (1992)', "Crime, Drama", "liked"),
            ("1", at(2013, 3, 31, 0, 35, 43), "film ratings", 'A "Few" Good Mén (1992)', "Crime, Drama", "rated"),
            ("2", at(2013, 3, 17, 10, 6, 11), "film ratings", "House of 1000 Corpses (2003)", "", "disliked"),
            ("2", at(2013, 3, 17, 10, 6, 12), "film ratings", "film 9999999", "", "rated"),
        ]

    def test_movielens_stars_and_tags_are_visits(self, lakes):
        assert rows(lakes["movielens"], "visits", *VISIT) == [
            ("7", at(2000, 7, 30, 18, 45, 3), "film ratings", "Toy Story (1995)", "Adventure, Animation", "liked"),
            ("7", at(2000, 7, 30, 18, 48, 51), "film ratings", '"Great" Cats, The (1998)', "", "disliked"),
            ("9", at(2015, 10, 24, 19, 29, 54), "film tags", "Toy Story (1995)", "pixar fun", "tagged"),
        ]

    def test_the_older_layout_tells_of_its_users_but_not_where_they_live(self, spark, tmp_path):
        path = made.folder(tmp_path / "ml-1m", made.LENS_DAT, encoding="ISO-8859-1")

        assert import_dataset(spark, DATASETS["movielens"], path, tmp_path / "lake") == {"visits": 2, "profiles": 1}

        assert rows(tmp_path / "lake", "visits", "title", "action") == [
            ("Misérables, Les (1995)", "liked"), ("Cuckoo's Nest, The (1975)", "rated")
        ]  # fmt: skip
        (profile,) = pq.read_table(tmp_path / "lake" / "profiles").to_pylist()
        assert profile == {
            "user_id": "1", "valid_from": at(2000, 12, 31, 22, 11, 40), "gender": "female", "age": "under 18",
            "occupation": "school student",
        }  # fmt: skip

    def test_ratings_up_to_ten_are_no_movielens(self, spark, tmp_path):
        path = made.folder(tmp_path / "tweets", made.TWEETS)
        assert refusal(spark, "movielens", path, tmp_path) == (
            "ratings.dat: column 'rating' must be a rating from 0.5 to 5 stars (up to 10: import movie_tweets), "
            "found '7'. "
            "Give the original as its source publishes it."
        )

    def test_a_film_listed_twice_is_visited_once(self, spark, tmp_path):
        twice = {**made.TWEETS, "movies.dat": (*made.TWEETS["movies.dat"], "0251736::House (2003)::Horror")}
        path = made.folder(tmp_path / "tweets", twice)
        assert import_dataset(spark, DATASETS["movie_tweets"], path, tmp_path / "lake") == {"visits": 4}


class TestCompleteJourney:
    def test_day_numbers_become_dates_and_lines_bills(self, lakes):
        columns = ("user_id", "event_time", "item", "category", "amount", "quantity", "order_id")
        assert rows(lakes["complete_journey"], "bills", *columns) == [
            (
                "2375", at(2016, 3, 23, 16, 31), "Potatoes Russet (Bulk&Bag)", "Potatoes", 1.39, 1.0, "26984851472"
            ),
            ("2375", at(2017, 1, 1, 0, 40), "Grocery", "Grocery", 0.82, 2.0, "26984851473"),
            ("8", at(2018, 3, 3, 23, 59), "product 77", None, 2.5, 1.0, "26984851474"),
        ]  # fmt: skip
        assert yaml.safe_load((lakes["complete_journey"] / "lake.yaml").read_text())["ends"] == "2018-03-04"

    def test_a_redeemed_coupon_is_a_click_and_a_household_a_profile(self, lakes):
        clicks = rows(lakes["complete_journey"], "clicks", "user_id", "event_time", "page", "element")
        assert clicks == [("8", at(2017, 5, 17), "coupon redeemed", "campaign 8, TypeA")]
        assert rows(lakes["complete_journey"], "profiles", *SHAPES["complete_journey"]["profiles"]) == [
            ("2375", at(2016, 3, 23), "65+", "Married", "35-49K", "Homeowner", "2 Adults No Kids", "2", "None/Unknown")
        ]

    def test_another_day_one_moves_every_date(self, spark, tmp_path):
        few = {n: made.JOURNEY[n] for n in ("transaction_data.csv", "product.csv")}
        path = made.folder(tmp_path / "journey", few)

        counted = import_dataset(
            spark, DATASETS["complete_journey"], path, tmp_path / "lake", day_one=date(2020, 2, 28)
        )  # fmt: skip

        assert counted == {"bills": 3}
        times = [time for (time,) in rows(tmp_path / "lake", "bills", "event_time")]
        assert times[0] == at(2020, 2, 28, 16, 31)

    def test_a_time_that_no_clock_shows_is_refused(self, spark, tmp_path):
        lines = [line.replace(",1631,", ",1665,") for line in made.JOURNEY["transaction_data.csv"]]
        path = made.folder(tmp_path / "journey", {**made.JOURNEY, "transaction_data.csv": tuple(lines)})
        told = refusal(spark, "complete_journey", path, tmp_path)
        assert told.startswith(
            "transaction_data.csv: column 'TRANS_TIME' must be a time of day like 1631, found '1665'."
        )


class TestBerka:
    def test_what_an_account_does_is_its_owner_s_bill(self, lakes):
        columns = ("user_id", "event_time", "item", "category", "amount", "channel", "status", "order_id")
        assert rows(lakes["berka"], "bills", *columns) == [
            ("11", at(1995, 3, 24), "cash deposit", "income", 1000.0, "cash deposit", "received", "31"),
            ("11", at(1995, 4, 13), "old-age pension", "income", 3679.0, "transfer from another bank", "received",
             "32"),
            ("12", at(1993, 7, 5), "loan granted for 12 months", "loan", 96396.0, None, "received", "loan 5314"),
            ("12", at(1993, 11, 7), "classic credit card issued", "card", None, None, "successful", "card 1005"),
            ("12", at(1998, 12, 30), "cash withdrawal", "expense", 300.5, "cash withdrawal", "successful", "34"),
            (
                "12", at(1998, 12, 31), "household payment", "expense", 2452.0, "transfer to another bank",
                "successful", "33",
            ),
        ]  # fmt: skip
        assert yaml.safe_load((lakes["berka"] / "lake.yaml").read_text())["ends"] == "1999-01-01"

    def test_owners_have_profiles_from_the_day_of_their_account(self, lakes):
        assert rows(lakes["berka"], "profiles", *SHAPES["berka"]["profiles"]) == [
            ("11", at(1995, 3, 24), 24.0, "female", "Pisek", "south Bohemia", 8968.0, "monthly"),
            ("12", at(1993, 2, 26), 48.0, "male", "Hl.m. Praha", "Prague", 12541.0, "after each transaction"),
        ]

    def test_csv_and_iso_dates_are_read_as_well(self, spark, lakes, tmp_path):
        files = {n.replace(".asc", ".csv"): tuple(li.replace(";", ",") for li in f) for n, f in made.BERKA.items()}
        files["account.csv"] = tuple(line.replace("950324", "1995-03-24") for line in files["account.csv"])

        import_dataset(spark, DATASETS["berka"], made.folder(tmp_path / "csv", files), tmp_path / "lake")

        assert digest((tmp_path / "lake").resolve()) == digest(lakes["berka"].resolve())

    def test_an_unknown_direction_is_refused(self, spark, tmp_path):
        lines = tuple(line.replace("VYDAJ", "CREDIT") for line in made.BERKA["trans.asc"])
        path = made.folder(tmp_path / "berka", {**made.BERKA, "trans.asc": lines})
        told = refusal(spark, "berka", path, tmp_path)
        assert told.startswith("trans.asc: column 'type' must be PRIJEM, VYDAJ or VYBER, found 'CREDIT'.")


class TestRefusals:
    """Each says what was expected, what was found and what to do."""

    def test_nothing_there(self, spark, tmp_path):
        assert refusal(spark, "berka", tmp_path / "no", tmp_path) == (
            f"the original must be a file or folder, found nothing at {tmp_path}/no. Download it first."
        )

    def test_a_broken_zip(self, spark, tmp_path):
        path = made.write(tmp_path / "ml-1m.zip", "half of it")
        assert refusal(spark, "movielens", path, tmp_path) == (
            f"{path} is no zip file, or a broken one. Download it again."
        )
        whole = made.packed(tmp_path / "whole.zip", made.LENS_CSV).read_bytes()
        path.write_bytes(whole.replace(b"964982703", b"964982704"))
        assert refusal(spark, "movielens", path, tmp_path).startswith(
            f"ml-latest-small/ratings.csv in {path} cannot be unpacked: Bad CRC-32"
        )

    def test_a_missing_file(self, spark, tmp_path):
        path = made.folder(tmp_path / "tweets", {"ratings.dat": (), "notes/a.txt": (), "__MACOSX/movies.dat": ()})
        assert refusal(
            spark, "movielens", made.folder(path, {"ratings.dat": made.LENS_DAT["ratings.dat"]}), tmp_path
        ) == (
            f"{path} must hold movies.dat, found notes/a.txt, ratings.dat. "
            "Give the folder or the zip as its source publishes it."
        )

    def test_two_files_of_one_name(self, spark, tmp_path):
        path = made.folder(tmp_path / "clone", {f"{d}/ratings.dat": () for d in ("latest", "snapshots")})
        assert refusal(spark, "movie_tweets", path, tmp_path) == (
            f"{path} must hold one ratings.dat, found latest/ratings.dat, snapshots/ratings.dat. "
            "Give the folder that holds the one."
        )

    def test_a_workbook(self, spark, tmp_path):
        path = tmp_path / "online_retail_II.xlsx"
        with zipfile.ZipFile(path, "w") as book:
            book.writestr("xl/workbook.xml", "")
        told = refusal(spark, "online_retail", path, tmp_path)
        assert told.startswith(
            f"{path} must be or hold csv, found online_retail_II.xlsx. Save each sheet of the workbook "
        )
        told = refusal(spark, "credit_card", made.packed(tmp_path / "c.zip", {"default of clients.xls": ()}), tmp_path)
        assert "found default of clients.xls. Save the workbook as csv, or run: python -c" in told

    def test_no_csv_at_all(self, spark, tmp_path):
        path = made.write(tmp_path / "notes.txt", "a")
        assert refusal(spark, "credit_card", path, tmp_path) == (
            f"{path} must be or hold csv, found notes.txt. Give the csv file, or the folder or zip that holds it."
        )

    def test_a_missing_column(self, spark, tmp_path):
        path = made.write(tmp_path / "a.csv", made.RETAIL_HEADER.replace("Price", "Cost").replace("Customer ID", "Who"))
        assert refusal(spark, "online_retail", path, tmp_path) == (
            "a.csv must have the columns ['Price', 'Customer ID'], found ['Invoice', 'StockCode', 'Description', "
            "'Quantity', 'InvoiceDate', 'Cost', 'Who', 'Country']. "
            "Give the original as its source publishes it; other columns may stay."
        )

    def test_an_empty_file_and_one_without_rows(self, spark, tmp_path):
        path = made.write(tmp_path / "a.csv")
        assert refusal(spark, "online_retail", path, tmp_path) == (
            "a.csv must begin with a header, found an empty file. Download it again."
        )
        path = made.write(tmp_path / "a.csv", made.RETAIL_HEADER)
        assert refusal(spark, "online_retail", path, tmp_path) == (
            "the original of online_retail must hold events, found none. Download it again."
        )

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            (
                "2009-12-01 07:45",
                "31/12/2009 07:45",
                "column 'InvoiceDate' must be a time like 2009-12-01 07:45:00 or ",
            ),
            (",6.95,", ',"6,95",', "column 'Price' must be a number, found '6,95'."),
            (",6.95,", ",NaN,", "column 'Price' must be a number, found 'NaN'."),
            (",12,", ",12.5,", "column 'Quantity' must be a whole number, found '12.5'."),
            ("489434,", " ,", "column 'Invoice' must be text, found a blank value."),
            (
                ",6.95,",
                ",6,95,",
                "expected 8 fields in every line, found '489434,85048,15CM  CHRISTMAS GLASS BALL ,12,",
            ),
        ],
    )
    def test_a_value_of_another_kind_a_blank_one_and_a_broken_line(self, spark, tmp_path, old, new, told):
        path = made.write(tmp_path / "a.csv", made.RETAIL_HEADER, made.RETAIL_2009[0].replace(old, new))
        assert refusal(spark, "online_retail", path, tmp_path).startswith(f"a.csv: {told}")

    def test_a_bad_original_leaves_the_lake_of_a_good_one_alone(self, spark, sources, tmp_path):
        import_dataset(spark, DATASETS["movie_tweets"], sources["movie_tweets"], tmp_path / "lake")
        before = digest((tmp_path / "lake").resolve())
        bad = made.folder(tmp_path / "bad", {**made.TWEETS, "ratings.dat": ("1::2::x::4",)})

        with pytest.raises(FoundError, match="column 'rating' must be a number, found 'x'"):
            import_dataset(spark, DATASETS["movie_tweets"], bad, tmp_path / "lake")

        assert digest((tmp_path / "lake").resolve()) == before

    def test_a_folder_that_is_no_lake_of_ours_is_left_alone(self, spark, sources, tmp_path):
        (tmp_path / "mine").mkdir()
        with pytest.raises(FoundError, match="mine exists and was not published by FOUND: remove it"):
            import_dataset(spark, DATASETS["movie_tweets"], sources["movie_tweets"], tmp_path / "mine")


def test_what_was_unpacked_is_removed_again(spark, sources):
    with opened(spark, sources["movielens"]) as original:
        unpacked = original.file("RATINGS.CSV")
        assert unpacked.read_text().startswith("userId") and original.file("ratings.csv") == unpacked
    assert not unpacked.exists()


def test_another_checksum_than_the_published_one_is_told_and_the_import_goes_on(tmp_path):
    path = made.write(tmp_path / "ml-25m.zip", "not it")
    found = hashlib.md5(b"not it\n", usedforsecurity=False).hexdigest()

    assert checksum_warning(path, DATASETS["movielens"].checksums) == (
        f"warning: ml-25m.zip has the MD5 {found}, its source publishes 6b51fb2759a8657d3bfcbfc42b592ada: another "
        "version, or a damaged download. It is imported as it is."
    )
    assert checksum_warning(path, {"ml-25m.zip": found}) == ""
    assert checksum_warning(path, {"another.zip": ""}) == checksum_warning(tmp_path, {tmp_path.name: "0"}) == ""


def test_an_unknown_dataset_and_a_needless_day_one_are_refused_before_spark_starts(tmp_path):
    job = [sys.executable, str(ROOT / "spark_jobs" / "import_dataset.py")]
    asked = subprocess.run([*job, "tmall", "--from", "x", "--out", "y"], capture_output=True, text=True, check=False)

    assert (asked.returncode, asked.stderr) == (
        2, f"error: a dataset is one of {', '.join(DATASETS)}; found 'tmall'.\n"
    )  # fmt: skip
    with pytest.raises(FoundError, match=r"counts days \(complete_journey\); berka has dates. Leave it out."):
        chosen("berka", date(2016, 1, 1))


def test_the_command_starts_the_job_and_names_every_dataset(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("serving.processes.run_in_foreground", lambda argv, _: asked.append(argv) or 0)

    assert cli.main(["import-dataset", "berka", "--from", "b.zip", "--out", "lake"]) == 0
    assert cli.main(["import-dataset", "x", "--from", "y", "--out", "z", "--day-one", "2016-03-23"]) == 0
    with pytest.raises(SystemExit):
        cli.main(["import-dataset", "--help"])

    job = ["spark-submit", str(ROOT / "spark_jobs" / "import_dataset.py")]
    assert asked[0] == [*job, "berka", "--from", "b.zip", "--out", "lake"]
    assert asked[1][-2:] == ["--day-one", "2016-03-23"]
    told = capsys.readouterr().out
    assert [name for name in DATASETS if name not in told] == []
