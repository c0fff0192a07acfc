"""MovieTweetings: film ratings from 0 to 10 that people tweeted."""

from spark_jobs.originals.films import rated
from spark_jobs.originals.lake import Dataset, Tables
from spark_jobs.originals.opened import Original
from spark_jobs.originals.reading import NUMBER, SECONDS, Given, read_lines

RATINGS = (Given("user"), Given("film"), Given("rating", NUMBER), Given("time", SECONDS))
FILMS = (Given("film"), Given("title"), Given("genres", blank=True))


def read(original: Original) -> Tables:
    """Every rating is a visit. users.dat, which leads to the people's accounts at Twitter, is not read."""
    ratings = read_lines(original, original.file("ratings.dat"), RATINGS)
    films = read_lines(original, original.file("movies.dat"), FILMS)
    return Tables({"visits": rated(ratings, films, liked=8, disliked=4)})


DATASET = Dataset(
    name="movie_tweets",
    domain="recommendation",
    source="MovieTweetings",
    licence="MIT",
    read=read,
)
