"""What users did after a cut-off, as sentences and as the five descriptions of contracts/templates.py.

A future is [t + gap, t + gap + H) by event time, whenever its events arrived.
"""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.inputs import Lengths
from feature_repo.contracts.templates import (
    DESCRIPTION_ITEMS,
    EVENT_TEMPLATES,
    LEVELS,
    NOTHING,
    PAYMENT,
    SPENT_SUMMARY,
    STATUS_SUMMARY,
    TEMPLATES,
    Template,
    money,
)
from feature_repo.contracts.templates import text_key as key_of
from feature_repo.contracts.windows import Windows
from spark_jobs.rendering import exceeds, filled, level_text, text_key, units
from spark_jobs.transforms.snapshots import KEYS, keys_of

_SUCCESSFUL = ("", "successful")


def in_future(events: DataFrame, asked: DataFrame, windows: Windows) -> DataFrame:
    """Each event once per cut-off of its user whose future holds it."""

    def holds(cutoff: Column) -> Column:
        starts = cutoff + F.lit(windows.gap_days)
        return (F.col("day") >= starts) & (F.col("day") < starts + F.lit(windows.horizon_days))

    each = events.join(asked, "user_id", how="inner")
    return each.withColumn("cutoff_day", F.explode(F.filter("cutoff_days", holds))).drop("cutoff_days")


def future_sentences(
    events: DataFrame, asked: DataFrame, windows: Windows, *, currency: str, lengths: Lengths
) -> DataFrame:
    """user_id, cutoff_day, future_text, future_length: the keys of the distinct sentences of each future.

    More than fit: the summaries stay, and of the others those of the smallest keys. Keys are in order.
    """
    narrow = events.select(
        "user_id", "day", "source", *_sentence_keys(), "status", units(F.col("amount")).alias("paid")
    )
    found = in_future(narrow, asked, windows).groupBy(*KEYS).agg(*_facts())
    whole = F.slice(_summary_keys(currency), 1, lengths.future)
    told = found.select(*KEYS, whole.alias("summaries"), F.array_union("event_keys", "payment_keys").alias("others"))
    room = F.lit(lengths.future) - F.size("summaries")
    others = F.slice(F.array_sort(F.array_except("others", "summaries")), F.lit(1), room)
    kept = told.select(*KEYS, F.array_sort(F.concat("summaries", others)).alias("kept"))
    every = keys_of(asked).join(kept, KEYS, how="left")
    every = every.withColumn("kept", F.coalesce("kept", F.array(F.lit(key_of(NOTHING)))))
    return every.select(*KEYS, F.col("kept").alias("future_text"), F.size("kept").alias("future_length"))


def _sentence_keys() -> list[Column]:
    return [
        F.when(F.col("text") != "", F.col("text_key")).alias("event_key"),
        F.when(F.col("channel") != "", text_key(_payment_text())).alias("payment_key"),
        F.when(~F.col("status").isin(*_SUCCESSFUL), text_key(_status_text())).alias("status_key"),
    ]


def _payment_text() -> Column:
    return F.concat(F.lit(PAYMENT.lead), F.col("channel"))


def _status_text() -> Column:
    return filled(STATUS_SUMMARY, {"status": F.col("status")})


def _facts() -> list[Column]:
    sets = [F.collect_set(f"{kind}_key").alias(f"{kind}_keys") for kind in ("event", "payment", "status")]
    sources = [F.bool_or(F.col("source") == source).alias(source) for source in EVENT_SOURCES]
    spent = F.sum(F.when(F.col("status").isin(*_SUCCESSFUL), F.col("paid")))
    return [*sets, *sources, F.coalesce(spent, F.lit(0)).alias("spent")]


def _summary_keys(currency: str) -> Column:
    """The keys of `templates.summaries`, in key order."""
    told = [F.when(F.col(s), F.lit(key_of(EVENT_TEMPLATES[s].summary))) for s in EVENT_SOURCES]
    told += [F.when(exceeds(F.col("spent"), step), F.lit(key_of(_spent_text(step, currency)))) for step in LEVELS]
    fixed = F.filter(F.array(*told), lambda key: key.isNotNull())
    return F.array_sort(F.array_union(fixed, F.col("status_keys")))


def _spent_text(step: int, currency: str) -> str:
    return SPENT_SUMMARY.format(amount=money(step, currency))


def sentence_table(spark: SparkSession, events: DataFrame, *, currency: str) -> DataFrame:
    """(text_key, text): every sentence that a future of this lake may hold besides its events' texts."""
    fixed = [NOTHING, *(t.summary for t in EVENT_TEMPLATES.values()), *(_spent_text(s, currency) for s in LEVELS)]
    texts = spark.range(1).select(F.explode(F.array(*map(F.lit, fixed))).alias("text"))
    payments = events.filter("channel != ''").select(_payment_text().alias("text"))
    statuses = events.filter(~F.col("status").isin(*_SUCCESSFUL)).select(_status_text().alias("text"))
    texts = texts.unionByName(payments.distinct()).unionByName(statuses.distinct()).distinct()
    return texts.select(text_key(F.col("text")).alias("text_key"), "text")


def future_descriptions(events: DataFrame, asked: DataFrame, windows: Windows, *, currency: str) -> DataFrame:
    """user_id, cutoff_day and one description per template type, '' where nothing of the kind happens."""
    narrow = events.select("user_id", "day", F.explode(_mentions()).alias("mention"))
    each = in_future(narrow, asked, windows).select(*KEYS, "mention.*")
    items = each.groupBy(*KEYS, "kind", "status", "item").agg(
        F.count(F.lit(1)).alias("times"), F.coalesce(F.sum("paid"), F.lit(0)).alias("paid")
    )
    mentioned = F.when(F.col("item") != "", F.struct((-F.col("times")).alias("order"), "item"))
    groups = items.groupBy(*KEYS, "kind", "status").agg(
        F.slice(F.array_sort(F.collect_list(mentioned)), 1, DESCRIPTION_ITEMS).alias("items"),
        F.sum("paid").alias("paid"),
    )
    sentences = groups.filter(F.size("items") > 0).withColumn("sentence", _sentence(currency))
    described = sentences.groupBy(*KEYS).agg(*map(_description, TEMPLATES))
    every = keys_of(asked).join(described, KEYS, how="left")
    return every.select(*KEYS, *(F.coalesce(t.kind, F.lit("")).alias(t.kind) for t in TEMPLATES))


def _mentions() -> Column:
    """What an event contributes to each kind of description: a bill to two, any other event to one."""
    paid = units(F.col("amount"))
    whens = F.array()
    for source, template in EVENT_TEMPLATES.items():
        status = F.col("status") if template.status else F.lit("")
        mention = _mention(template, F.col("item"), status, paid)
        mentions = F.array(mention)
        if source == PAYMENT.source:
            payment = _mention(PAYMENT, F.col("channel"), F.lit(""), paid)
            mentions = F.when(F.col("channel") != "", F.array(mention, payment)).otherwise(mentions)
        whens = F.when(F.col("source") == source, mentions).otherwise(whens)
    return whens


def _mention(template: Template, item: Column, status: Column, paid: Column) -> Column:
    kind = F.lit(template.kind).alias("kind")
    return F.struct(kind, status.alias("status"), item.alias("item"), paid.alias("paid"))


def _sentence(currency: str) -> Column:
    items = F.array_join(F.transform("items", lambda mention: mention["item"]), ", ")
    step = level_text(F.col("paid"), currency)
    status = F.col("status")
    sentence = F.lit("")
    for t in TEMPLATES:
        amount = F.when(step != "", filled(t.amount, {"amount": step})).otherwise("") if t.amount else F.lit("")
        paid = F.when(status != "", filled(t.status, {"status": status})).otherwise("") if t.status else F.lit("")
        told = F.concat(F.lit(t.lead), items, amount, paid, F.lit("."))
        sentence = F.when(F.col("kind") == t.kind, told).otherwise(sentence)
    return sentence


def _description(template: Template) -> Column:
    """The sentences of one kind, by status."""
    of_kind = F.when(F.col("kind") == template.kind, F.struct("status", "sentence"))
    in_order = F.array_sort(F.collect_list(of_kind))
    return F.array_join(F.transform(in_order, lambda told: told["sentence"]), " ").alias(template.kind)
