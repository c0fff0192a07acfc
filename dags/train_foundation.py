"""### A new model from the whole lake

Checks the lake, builds training pairs at many cut-offs, and trains both stages. The new model is in service
after the next `nightly_embeddings`, which fills a collection of its own before it takes over.
"""

from airflow.sdk import dag
from operators import TRAINING_PARAMS, dag_arguments, tasks_of

from feature_repo.contracts.steps import TRAINING


@dag(
    schedule="@weekly",
    params=TRAINING_PARAMS,
    doc_md=__doc__,
    **dag_arguments(hours=48),
)
def train_foundation() -> None:
    tasks_of(TRAINING)


train_foundation()
