"""MovieLens: film ratings from half a star to five, and tags; the csv layout and the older `::` layout."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.originals.films import rated, visits
from spark_jobs.originals.lake import Dataset, Tables
from spark_jobs.originals.opened import Original
from spark_jobs.originals.reading import SECONDS, WHOLE, Given, Kind, number, read_csv, read_lines
from spark_jobs.originals.wording import named

_STARS = Kind(
    "a rating from 0.5 to 5 stars (up to 10: import movie_tweets)",
    lambda value: F.when(number(value).between(0.5, 5.0), number(value)),
)
RATINGS = (
    Given("user", also=("userId",)),
    Given("film", also=("movieId",)),
    Given("rating", _STARS),
    Given("time", SECONDS, also=("timestamp",)),
)
FILMS = (Given("film", also=("movieId",)), Given("title"), Given("genres", blank=True))
TAGS = (*RATINGS[:2], Given("tag", blank=True), RATINGS[3])
USERS = (Given("user"), Given("gender"), Given("age", WHOLE), Given("occupation", WHOLE), Given("zip", blank=True))

_AGES = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56 or older"}
_OCCUPATIONS = (
    "other", "academic or educator", "artist", "clerical or admin", "college or graduate student", "customer service",
    "doctor or health care", "executive or managerial", "farmer", "homemaker", "school student", "lawyer", "programmer",
    "retired", "sales or marketing", "scientist", "self-employed", "technician or engineer", "tradesman or craftsman",
    "unemployed", "writer",
)  # fmt: skip


def read(original: Original) -> Tables:
    """Every rating and tag is a visit. A user of ml-1m has a profile from the first rating on; zip codes stay out."""
    if path := original.optional("ratings.csv"):
        ratings, films = read_csv(original, path, RATINGS), read_csv(original, original.file("movies.csv"), FILMS)
        tags = read_csv(original, path, TAGS) if (path := original.optional("tags.csv")) else None
    else:
        ratings = read_lines(original, original.file("ratings.csv", "ratings.dat"), RATINGS)
        films = read_lines(original, original.file("movies.dat"), FILMS)
        tags = read_lines(original, path, TAGS) if (path := original.optional("tags.dat")) else None
    seen = rated(ratings, films, liked=4, disliked=2)
    if tags is not None:
        named_tags = tags.filter("tag is not null")
        seen = seen.unionByName(
            visits(named_tags, films, app="film tags", action=F.lit("tagged"), description=F.col("tag"))
        )
    tables = {"visits": seen}
    if path := original.optional("users.dat"):
        tables["profiles"] = _profiles(read_lines(original, path, USERS), ratings)
    return Tables(tables)


def _profiles(users: DataFrame, ratings: DataFrame) -> DataFrame:
    first = ratings.groupBy("user").agg(F.min("time").alias("valid_from"))
    return users.join(first, "user", how="inner").select(
        F.col("user").alias("user_id"),
        "valid_from",
        named(F.col("gender"), {"F": "female", "M": "male"}).alias("gender"),
        named(F.col("age"), _AGES).alias("age"),
        named(F.col("occupation"), dict(enumerate(_OCCUPATIONS))).alias("occupation"),
    )


DATASET = Dataset(
    name="movielens",
    domain="recommendation",
    source="MovieLens, GroupLens Research",
    licence="GroupLens usage licence (README of the archive): research, acknowledged; commercial use by permission",
    read=read,
    checksums={
        "ml-1m.zip": "c4d9eecfca2ab87c1945afe126590906",
        "ml-10m.zip": "ce571fd55effeba0271552578f2648bd",
        "ml-20m.zip": "cd245b17a1ae2cc31bb14903e1204af3",
        "ml-25m.zip": "6b51fb2759a8657d3bfcbfc42b592ada",
    },
)
