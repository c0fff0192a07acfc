"""Every dataset that has an adapter, by name."""

from spark_jobs.originals import berka, complete_journey, credit_card, movie_tweets, movielens, online_retail

DATASETS = {
    module.DATASET.name: module.DATASET
    for module in (online_retail, credit_card, movie_tweets, complete_journey, movielens, berka)
}
