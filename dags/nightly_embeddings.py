"""### Every user's embedding, as of today 00:00 UTC

Snapshots every user, embeds those whose input changed, and puts them in service. It needs a trained model
(`train_foundation`). Running a day again rewrites that day and nothing else.
"""

from airflow.sdk import dag
from operators import DAY_PARAMS, dag_arguments, tasks_of

from feature_repo.contracts.steps import NIGHTLY


@dag(
    schedule="@daily",
    params=DAY_PARAMS,
    doc_md=__doc__,
    **dag_arguments(hours=6),
)
def nightly_embeddings() -> None:
    tasks_of(NIGHTLY)


nightly_embeddings()
