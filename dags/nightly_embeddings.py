"""### Every user's embedding, as of today 00:00 UTC

Snapshots every user, embeds those whose input changed, and puts them in service. It needs a trained model
(`train_foundation`). At the end it notes what became of stored audiences whose window has passed. Running a day again
rewrites that day and nothing else.
"""

from airflow.sdk import dag
from operators import DAY_PARAMS, dag_arguments, tasks_of

from feature_repo.contracts.steps import NIGHTLY, PROMISES


@dag(
    schedule="@daily",
    params=DAY_PARAMS,
    doc_md=__doc__,
    **dag_arguments(hours=6),
)
def nightly_embeddings() -> None:
    tasks_of((*NIGHTLY, *PROMISES))


nightly_embeddings()
