"""UCI default of credit card clients: six monthly statements and repayments of card holders in Taiwan."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from spark_jobs.originals.lake import Dataset, Tables
from spark_jobs.originals.opened import Original
from spark_jobs.originals.reading import NUMBER, WHOLE, Given, read_csv
from spark_jobs.originals.wording import named

_MONTHS = {1: 9, 2: 8, 3: 7, 4: 6, 5: 5, 6: 4}
"""Column BILL_AMTn, PAY_AMTn and PAY_n (the first is called PAY_0) tell of this month of 2005."""
STATEMENT_DAY, REPAYMENT_DAY = 20, 25
"""The original names months only."""
_STATES = {
    -2: "no consumption",
    -1: "paid in full",
    0: "revolving credit",
    1: "one month overdue",
    2: "two months overdue",
}
_LATER = "three or more months overdue"
_USED = ((0.1, "little"), (0.5, "part"), (0.9, "more than half"))
_CONVERT = (
    'Save the workbook as csv, or run: python -c "import pandas as pd; '
    "pd.read_excel('default of credit card clients.xls', header=1).to_csv('credit_card.csv', index=False)\" "
    "where pandas and xlrd are installed."
)

COLUMNS = (
    Given("ID", WHOLE),
    Given("LIMIT_BAL", NUMBER),
    *(Given(name, WHOLE) for name in ("SEX", "EDUCATION", "MARRIAGE", "AGE")),
    Given("PAY_0", WHOLE, also=("PAY_1",)),
    *(Given(f"PAY_{n}", WHOLE) for n in _MONTHS if n > 1),
    *(Given(f"BILL_AMT{n}", NUMBER) for n in _MONTHS),
    *(Given(f"PAY_AMT{n}", NUMBER) for n in _MONTHS),
)


def read(original: Original) -> Tables:
    """A bill per statement and per repayment of more than nothing; what is known of a client from the first month on.

    The default of October 2005, which the original is labelled with, is left out: it is nobody's history.
    """
    files = original.csv_files(convert=_CONVERT)
    if len(files) > 1:
        raise FoundError(
            f"{original.path} must hold one csv file, found {', '.join(f.name for f in files)}. Give the one."
        )
    clients = read_csv(original, files[0], COLUMNS)
    months = F.explode(F.array(*[_month(n, month) for n, month in _MONTHS.items()])).alias("month")
    told = clients.select(F.col("ID").cast("string").alias("user_id"), "LIMIT_BAL", months)
    bills = _statements(told).unionByName(_repayments(told))
    return Tables({"bills": bills, "profiles": _profiles(clients)}, ends=date(2005, 10, 1))


def _month(n: int, month: int) -> Column:
    return F.struct(
        F.lit(date(2005, month, 1)).alias("first"),
        F.col(f"PAY_{n if n > 1 else 0}").alias("state"),
        F.col(f"BILL_AMT{n}").alias("owed"),
        F.col(f"PAY_AMT{n}").alias("repaid"),
    )


def _statements(told: DataFrame) -> DataFrame:
    owed = F.col("month.owed")
    used = F.lit("nearly the whole credit line used")
    for share, words in reversed(_USED):
        used = F.when(owed / F.col("LIMIT_BAL") <= share, f"{words} of the credit line used").otherwise(used)
    item = F.concat(F.lit("credit card statement, "), F.when(owed <= 0, "nothing owed").otherwise(used))
    state = named(F.col("month.state"), _STATES, _LATER)
    return _bills(
        told, item, day=STATEMENT_DAY, amount=owed, status=state, category="credit card", channel="credit card"
    )


def _repayments(told: DataFrame) -> DataFrame:
    paid = told.filter("month.repaid > 0")
    item, done = F.lit("credit card repayment"), F.lit("successful")
    amount = F.col("month.repaid")
    return _bills(
        paid, item, day=REPAYMENT_DAY, amount=amount, status=done, category="repayment", channel="bank transfer"
    )


def _bills(
    told: DataFrame, item: Column, *, day: int, amount: Column, status: Column, category: str, channel: str
) -> DataFrame:
    return told.select(
        "user_id",
        F.date_add("month.first", day - 1).cast("timestamp").alias("event_time"),
        item.alias("item"),
        F.lit(category).alias("category"),
        F.lit("bank").alias("merchant"),
        amount.alias("amount"),
        F.lit(1.0).alias("quantity"),
        F.lit(channel).alias("channel"),
        status.alias("status"),
        F.date_format("month.first", "yyyy-MM").alias("order_id"),
    )


def _profiles(clients: DataFrame) -> DataFrame:
    schools = {1: "graduate school", 2: "university", 3: "high school"}
    return clients.select(
        F.col("ID").cast("string").alias("user_id"),
        F.lit(date(2005, min(_MONTHS.values()), 1)).cast("timestamp").alias("valid_from"),
        F.col("LIMIT_BAL").alias("credit_limit"),
        named(F.col("SEX"), {1: "male", 2: "female"}).alias("sex"),
        named(F.col("EDUCATION"), schools, "other").alias("education"),
        named(F.col("MARRIAGE"), {1: "married", 2: "single"}, "other").alias("marriage"),
        F.col("AGE").cast("double").alias("age"),
    )


DATASET = Dataset(
    name="credit_card",
    domain="risk",
    currency="TWD",
    source="UCI default of credit card clients",
    licence="CC BY 4.0, doi 10.24432/C55S3H",
    read=read,
)
