"""Every dataset that has an adapter, by name."""

from spark_jobs.originals import berka, complete_journey, credit_card, movie_tweets, movielens, online_retail
from spark_jobs.originals.lake import Dataset

_ALL: tuple[Dataset, ...] = (
    online_retail.DATASET,
    credit_card.DATASET,
    movie_tweets.DATASET,
    complete_journey.DATASET,
    movielens.DATASET,
    berka.DATASET,
)
DATASETS = {dataset.name: dataset for dataset in _ALL}
