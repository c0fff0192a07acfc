"""dunnhumby, The Complete Journey: two years of grocery baskets of 2,500 households."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.originals.lake import Dataset, Tables
from spark_jobs.originals.opened import Original
from spark_jobs.originals.reading import NUMBER, WHOLE, Given, Kind, read_csv, whole
from spark_jobs.originals.wording import coded, named, titled

DAY_ONE = date(2016, 3, 23)
"""The original counts days. The R package `completejourney` gives its day 285 the date 2017-01-01; Christmas fits."""
_NOTHING_SAID = ("NO COMMODITY DESCRIPTION", "NO SUBCOMMODITY DESCRIPTION")
_DAY = Given("DAY", WHOLE)


def _clock(value: Column) -> Column:
    """Minutes after midnight of 1631 or 0040."""
    read = whole(value)
    is_time = read.between(0, 2359) & (read % 100 < 60)
    return F.when(is_time, F.floor(read / 100) * 60 + read % 100)


TRANSACTIONS = (
    Given("household_key", WHOLE),
    Given("BASKET_ID"),
    _DAY,
    Given("PRODUCT_ID", WHOLE),
    Given("QUANTITY", NUMBER),
    Given("SALES_VALUE", NUMBER),
    Given("TRANS_TIME", Kind("a time of day like 1631", _clock)),
)
PRODUCTS = (
    Given("PRODUCT_ID", WHOLE),
    *(Given(name, blank=True) for name in ("DEPARTMENT", "COMMODITY_DESC", "SUB_COMMODITY_DESC")),
)
HOUSEHOLDS = {
    "AGE_DESC": "age",
    "MARITAL_STATUS_CODE": "marital_status",
    "INCOME_DESC": "income",
    "HOMEOWNER_DESC": "home_ownership",
    "HH_COMP_DESC": "household",
    "HOUSEHOLD_SIZE_DESC": "household_size",
    "KID_CATEGORY_DESC": "kids",
}
REDEMPTIONS = (Given("household_key", WHOLE), _DAY, Given("CAMPAIGN"))
CAMPAIGNS = (Given("CAMPAIGN"), Given("DESCRIPTION", blank=True))
_MARITAL = {"A": "Married", "B": "Single", "U": "Unknown"}
"""Some copies of the original have letters for it."""


def read(original: Original) -> Tables:
    """A bill per line of a basket, a click per coupon redeemed, a profile per household that told of itself.

    Day 1 is `original.day_one`, else DAY_ONE; the store's clock is taken as UTC. The last day is observed to its end.
    """
    day_one = original.day_one or DAY_ONE
    lines = read_csv(original, original.file("transaction_data.csv"), TRANSACTIONS)
    products = read_csv(original, original.file("product.csv"), PRODUCTS)
    tables = {"bills": _bills(lines, products, day_one)}
    if path := original.optional("coupon_redempt.csv"):
        campaigns = read_csv(original, original.file("campaign_desc.csv"), CAMPAIGNS)
        tables["clicks"] = _clicks(read_csv(original, path, REDEMPTIONS), campaigns, day_one)
    if path := original.optional("hh_demographic.csv"):
        told = (Given("household_key", WHOLE), *(Given(name, blank=True) for name in HOUSEHOLDS))
        tables["profiles"] = _profiles(read_csv(original, path, told), day_one)
    last = lines.agg(F.max("DAY")).head()
    days = last[0] if last and last[0] else 0
    return Tables(tables, ends=day_one + timedelta(days=days))


def _bills(lines: DataFrame, products: DataFrame, day_one: date) -> DataFrame:
    commodity, sub = (_said(F.col(name)) for name in ("COMMODITY_DESC", "SUB_COMMODITY_DESC"))
    kinds = products.select("PRODUCT_ID", "DEPARTMENT", commodity.alias("commodity"), sub.alias("sub"))
    each = kinds.groupBy("PRODUCT_ID").agg(F.min(F.struct(*kinds.columns[1:])).alias("of")).select("PRODUCT_ID", "of.*")
    item = titled(F.coalesce("sub", "commodity", "DEPARTMENT"))
    minutes = F.make_dt_interval(mins=F.col("TRANS_TIME").cast("int"))
    return lines.join(each, "PRODUCT_ID", how="left").select(
        F.col("household_key").cast("string").alias("user_id"),
        (_midnight(day_one) + minutes).alias("event_time"),
        F.coalesce(item, coded(F.col("PRODUCT_ID"), "product")).alias("item"),
        titled(F.coalesce("commodity", "DEPARTMENT")).alias("category"),
        F.col("SALES_VALUE").alias("amount"),
        F.col("QUANTITY").alias("quantity"),
        F.lit("successful").alias("status"),
        F.col("BASKET_ID").alias("order_id"),
    )


def _said(description: Column) -> Column:
    return F.when(~description.isin(*_NOTHING_SAID), description)


def _midnight(day_one: date) -> Column:
    return F.date_add(F.lit(day_one), F.col("DAY").cast("int") - 1).cast("timestamp")


def _clicks(redemptions: DataFrame, campaigns: DataFrame, day_one: date) -> DataFrame:
    each = campaigns.groupBy("CAMPAIGN").agg(F.min("DESCRIPTION").alias("type"))
    return redemptions.join(each, "CAMPAIGN", how="left").select(
        F.col("household_key").cast("string").alias("user_id"),
        _midnight(day_one).alias("event_time"),
        F.lit("coupon redeemed").alias("page"),
        F.concat_ws(", ", coded(F.col("CAMPAIGN"), "campaign"), F.col("type")).alias("element"),
    )


def _profiles(households: DataFrame, day_one: date) -> DataFrame:
    status = F.col("MARITAL_STATUS_CODE")
    spelt = households.withColumn("MARITAL_STATUS_CODE", F.coalesce(named(status, _MARITAL), status))
    return spelt.select(
        F.col("household_key").cast("string").alias("user_id"),
        F.lit(day_one).cast("timestamp").alias("valid_from"),
        *[F.col(theirs).alias(ours) for theirs, ours in HOUSEHOLDS.items()],
    )


DATASET = Dataset(
    name="complete_journey",
    domain="marketing",
    currency="USD",
    source="dunnhumby, The Complete Journey",
    licence="dunnhumby's terms for its source files (see the page of the download); no open licence is known",
    read=read,
    counts_days=True,
)
