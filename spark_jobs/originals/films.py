"""What MovieTweetings and MovieLens share: a rating is a visit to a film."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.originals.wording import coded

APP = "film ratings"


def rated(ratings: DataFrame, films: DataFrame, *, liked: float, disliked: float) -> DataFrame:
    """Visits of `ratings` (user, film, rating, time): liked from `liked` on, disliked up to `disliked`, else rated."""
    rating = F.col("rating")
    action = F.when(rating >= liked, "liked").when(rating <= disliked, "disliked").otherwise("rated")
    return visits(ratings, films, app=APP, action=action, description=F.col("genres"))


def visits(acts: DataFrame, films: DataFrame, *, app: str, action: Column, description: Column) -> DataFrame:
    """One visit per row of `acts` (user, film, time, ...).

    A film that `films` (film, title, genres) lacks has its number for a title; of two rows for a film the first counts.
    """
    genres = F.when(F.col("genres") == "(no genres listed)", "").otherwise(F.coalesce("genres", F.lit("")))
    told = films.select("film", "title", F.regexp_replace(genres, r"\|", ", ").alias("genres"))
    each = told.groupBy("film").agg(F.min(F.struct("title", "genres")).alias("of")).select("film", "of.*")
    return acts.join(each, "film", how="left").select(
        F.col("user").alias("user_id"),
        F.col("time").alias("event_time"),
        F.lit(app).alias("app"),
        F.coalesce("title", coded(F.col("film"), "film")).alias("title"),
        F.coalesce(description, F.lit("")).alias("description"),
        action.alias("action"),
    )
