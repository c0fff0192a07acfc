"""Berka (PKDD'99, the financial data set): six years of accounts at a Czech bank."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.originals.lake import Dataset, Tables
from spark_jobs.originals.opened import Original
from spark_jobs.originals.reading import NUMBER, WHOLE, Given, Kind, read_csv
from spark_jobs.originals.wording import named

_IN, _OUT = "PRIJEM", ("VYDAJ", "VYBER")
_OPERATIONS = {
    "VYBER KARTOU": "credit card withdrawal",
    "VKLAD": "cash deposit",
    "PREVOD Z UCTU": "transfer from another bank",
    "VYBER": "cash withdrawal",
    "PREVOD NA UCET": "transfer to another bank",
}
_PURPOSES = {
    "POJISTNE": "insurance payment",
    "SLUZBY": "payment for the statement",
    "UROK": "interest credited",
    "SANKC. UROK": "penalty interest for a negative balance",
    "SIPO": "household payment",
    "DUCHOD": "old-age pension",
    "UVER": "loan payment",
}
_STATEMENTS = {
    "POPLATEK MESICNE": "monthly",
    "POPLATEK TYDNE": "weekly",
    "POPLATEK PO OBRATU": "after each transaction",
}


def _date(value: Column) -> Column:
    """930705 and 1993-07-05, a time of midnight behind it or not."""
    day = F.substring_index(value, " ", 1)
    century = F.when(day.rlike("^[0-9]{6}$"), F.concat(F.lit("19"), day))
    return F.coalesce(F.try_to_timestamp(century, F.lit("yyyyMMdd")), F.try_to_timestamp(day, F.lit("yyyy-MM-dd")))


def _birth(value: Column) -> Column:
    """(date, is a woman) of YYMMDD, in which 50 is added to a woman's month."""
    is_woman = F.substring(value, 3, 2).try_cast("int") > 50
    born = _date(F.lpad((value.try_cast("int") - F.when(is_woman, 5000).otherwise(0)).cast("string"), 6, "0"))
    return F.when(born.isNotNull(), F.struct(born.alias("day"), is_woman.alias("is_woman")))


def _direction(value: Column) -> Column:
    return F.when(value == _IN, "in").when(value.isin(*_OUT), "out")


DATE = Kind("a date like 930705 or 1993-07-05", _date)
ACCOUNTS = (Given("account_id", WHOLE), Given("frequency"), Given("date", DATE))
CLIENTS = (
    Given("client_id", WHOLE),
    Given("birth_number", Kind("a birth number like 706213", _birth)),
    Given("district_id", WHOLE),
)
DISPOSITIONS = (*(Given(name, WHOLE) for name in ("disp_id", "client_id", "account_id")), Given("type"))
TRANSACTIONS = (
    Given("trans_id"),
    Given("account_id", WHOLE),
    Given("date", DATE),
    Given("type", Kind(f"{_IN}, {' or '.join(_OUT)}", _direction)),
    Given("operation", blank=True),
    Given("amount", NUMBER),
    Given("k_symbol", blank=True),
)
LOANS = (
    Given("loan_id"), Given("account_id", WHOLE), Given("date", DATE), Given("amount", NUMBER), Given("duration", WHOLE)
)  # fmt: skip
CARDS = (Given("card_id"), Given("disp_id", WHOLE), Given("type"), Given("issued", DATE))
DISTRICTS = (Given("A1", WHOLE), Given("A2"), Given("A3"), Given("A11", NUMBER))


def read(original: Original) -> Tables:
    """A user is the owner of an account. Transactions, loans granted and cards issued are bills with positive amounts;
    the status of what came in is 'received'. How a loan ended and permanent orders, which have no date, are left out.
    """
    owners, accounts = _owners(original), _read(original, "account", ACCOUNTS)
    moved = _read(original, "trans", TRANSACTIONS)
    bills = _transactions(moved).unionByName(_loans(_read(original, "loan", LOANS)))
    cards = _read(original, "card", CARDS).join(owners.select("disp_id", "account_id"), "disp_id", how="inner")
    bills = bills.unionByName(_cards(cards)).join(owners.select("account_id", "user_id"), "account_id", how="inner")
    last = moved.agg(F.max("date")).head()
    ends = last[0].date() + timedelta(days=1) if last and last[0] else None
    profiles = _profiles(owners, accounts, original)
    return Tables({"bills": bills.drop("account_id"), "profiles": profiles}, ends=ends)


def _read(original: Original, name: str, columns: tuple[Given, ...]) -> DataFrame:
    return read_csv(original, original.file(f"{name}.asc", f"{name}.csv"), columns)


def _owners(original: Original) -> DataFrame:
    """disp_id, client_id, account_id, user_id: one row per account."""
    owners = _read(original, "disp", DISPOSITIONS).filter(F.col("type") == "OWNER").drop("type")
    first = owners.groupBy("account_id").agg(F.min(F.struct("disp_id", "client_id")).alias("of"))
    return first.select("account_id", "of.*", F.col("of.client_id").cast("string").alias("user_id"))


def _transactions(moved: DataFrame) -> DataFrame:
    way = F.when(F.col("type") == "in", "money received").otherwise("money paid out")
    channel = named(F.col("operation"), _OPERATIONS)
    return moved.select(
        "account_id",
        F.col("date").alias("event_time"),
        F.coalesce(named(F.col("k_symbol"), _PURPOSES), channel, way).alias("item"),
        F.when(F.col("type") == "in", "income").otherwise("expense").alias("category"),
        "amount",
        channel.alias("channel"),
        F.when(F.col("type") == "in", "received").otherwise("successful").alias("status"),
        F.col("trans_id").alias("order_id"),
    )


def _loans(loans: DataFrame) -> DataFrame:
    return loans.select(
        "account_id",
        F.col("date").alias("event_time"),
        F.concat(F.lit("loan granted for "), F.col("duration").cast("string"), F.lit(" months")).alias("item"),
        F.lit("loan").alias("category"),
        "amount",
        F.lit(None).cast("string").alias("channel"),
        F.lit("received").alias("status"),
        F.concat(F.lit("loan "), F.col("loan_id")).alias("order_id"),
    )


def _cards(cards: DataFrame) -> DataFrame:
    return cards.select(
        "account_id",
        F.col("issued").alias("event_time"),
        F.concat(F.col("type"), F.lit(" credit card issued")).alias("item"),
        F.lit("card").alias("category"),
        F.lit(None).cast("double").alias("amount"),
        F.lit(None).cast("string").alias("channel"),
        F.lit("successful").alias("status"),
        F.concat(F.lit("card "), F.col("card_id")).alias("order_id"),
    )


def _profiles(owners: DataFrame, accounts: DataFrame, original: Original) -> DataFrame:
    """What was known of an owner on the day of the (first) account."""
    opened = owners.join(accounts, "account_id", how="inner")
    first = opened.groupBy("client_id").agg(F.min(F.struct("date", "frequency")).alias("account"))
    people = _read(original, "client", CLIENTS).join(first, "client_id", how="inner")
    places = _read(original, "district", DISTRICTS)
    months = F.months_between("account.date", "birth_number.day")
    return people.join(places, people["district_id"] == places["A1"], how="left").select(
        F.col("client_id").cast("string").alias("user_id"),
        F.col("account.date").alias("valid_from"),
        F.floor(months / 12).cast("double").alias("age"),
        F.when(F.col("birth_number.is_woman"), "female").otherwise("male").alias("gender"),
        F.col("A2").alias("district"),
        F.col("A3").alias("region"),
        F.col("A11").alias("district_salary"),
        named(F.col("account.frequency"), _STATEMENTS, "other").alias("statements"),
    )


DATASET = Dataset(
    name="berka",
    domain="finance",
    currency="CZK",
    source="PKDD'99 Discovery Challenge, financial data set (Berka)",
    licence="none stated by its source; published for the PKDD'99 Discovery Challenge",
    read=read,
)
