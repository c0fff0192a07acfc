"""UCI Online Retail II: two years of invoices of a British shop for gifts."""

from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.originals.lake import Dataset, Tables
from spark_jobs.originals.opened import Original
from spark_jobs.originals.reading import NUMBER, WHOLE, Given, Kind, read_csv
from spark_jobs.originals.wording import titled

_TIMES = ("yyyy-MM-dd HH:mm[:ss]", "M/d/yyyy H:mm[:ss]")
_BOTH_SHEETS = (date(2010, 12, 1), date(2010, 12, 10))
"""The first sheet ends on 9 December 2010, the second begins on the 1st: these days stand in both."""
_CONVERT = (
    'Save each sheet of the workbook as csv (UTF-8), or run: python -c "import pandas as pd; '
    "pd.concat(pd.read_excel('online_retail_II.xlsx', sheet_name=None)).to_csv('online_retail_II.csv', index=False)\" "
    "where pandas and openpyxl are installed."
)


def _moment(value: Column) -> Column:
    spaced = F.regexp_replace(value, "T", " ")
    return F.coalesce(*[F.try_to_timestamp(spaced, F.lit(pattern)) for pattern in _TIMES])


COLUMNS = (
    Given("Invoice", also=("InvoiceNo",)),
    Given("StockCode"),
    Given("Description", blank=True),
    Given("Quantity", WHOLE),
    Given("InvoiceDate", Kind("a time like 2009-12-01 07:45:00 or 12/1/2009 7:45 (month first)", _moment)),
    Given("Price", NUMBER, also=("UnitPrice",)),
    Given("Customer ID", WHOLE, blank=True),
    Given("Country", blank=True),
)


def read(original: Original) -> Tables:
    """Every priced line of a known customer is a bill. The amount of a cancelled line is what was cancelled: its
    status says so, not its sign. A customer's country is that of the first bill."""
    sheets = [read_csv(original, path, COLUMNS) for path in original.csv_files(convert=_CONVERT)]
    rows = _once(reduce(DataFrame.unionByName, sheets))
    sold = rows.filter((F.col("Price") > 0) & F.col("Customer ID").isNotNull())
    sold = sold.withColumn("user_id", F.col("Customer ID").cast("string"))
    pieces = F.abs("Quantity").cast("double")
    is_cancelled = F.upper("Invoice").startswith("C")
    bills = sold.select(
        "user_id",
        F.col("InvoiceDate").alias("event_time"),
        titled(F.coalesce("Description", "StockCode")).alias("item"),
        F.round(pieces * F.col("Price"), 2).alias("amount"),
        pieces.alias("quantity"),
        F.when(is_cancelled, "cancelled").otherwise("successful").alias("status"),
        F.upper("Invoice").alias("order_id"),
    )
    first = sold.groupBy("user_id").agg(F.min(F.struct("InvoiceDate", "Country")).alias("first"))
    profiles = first.select(
        "user_id", F.col("first.InvoiceDate").alias("valid_from"), F.col("first.Country").alias("country")
    )
    return Tables({"bills": bills, "profiles": profiles})


def _once(rows: DataFrame) -> DataFrame:
    """Where both sheets are there, a line of their common days counts as often as it stands in one of them.

    They are both there when most of those lines occur an even number of times.
    """
    first, end = _BOTH_SHEETS
    is_common = (F.col("InvoiceDate") >= F.lit(first)) & (F.col("InvoiceDate") < F.lit(end))
    common = rows.filter(is_common).groupBy(rows.columns).agg(F.count(F.lit(1)).alias("times"))
    even = common.agg(F.avg((F.col("times") % 2 == 0).cast("int"))).head()
    if even is None or (even[0] or 0.0) <= 0.5:
        return rows
    copies = F.explode(F.sequence(F.lit(1), F.ceil(F.col("times") / 2).cast("int"))).alias("copy")
    return rows.filter(~is_common).unionByName(common.select(*rows.columns, copies).drop("copy"))


DATASET = Dataset(
    name="online_retail",
    domain="marketing",
    currency="GBP",
    source="UCI Online Retail II",
    licence="CC BY 4.0, doi 10.24432/C5CG6D",
    read=read,
)
