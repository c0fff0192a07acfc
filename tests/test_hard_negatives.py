"""Hard negatives: measured where the labels mark them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.evaluation.measures import Candidates, measure
from model.evaluation.scenarios import read_hard


def test_hard_negatives_are_measured_where_the_labels_mark_them():
    rng = np.random.default_rng(5)
    labels = {f"u{n:03d}": int(n % 3 == 0) for n in range(300)}
    scores = {user: float(rng.normal() + label) for user, label in labels.items()}
    hard = frozenset(user for user, label in labels.items() if not label and scores[user] > 0.5)
    plain = measure(Candidates.of("s", labels, fit_rate=0.3), scores, replicates=20)
    marked = measure(Candidates.of("s", labels, fit_rate=0.3, hard=hard | {"a stranger"}), scores, replicates=20)
    assert "auc_hard" not in plain.measures and marked.measures["auc"].value == plain.measures["auc"].value
    wins = [scores[positive] > scores[negative] for positive, label in labels.items() if label for negative in hard]
    assert marked.measures["auc_hard"].value == pytest.approx(np.mean(wins), abs=1e-9)
    assert len(marked.measures["auc_hard"].replicate_R) == 20 and marked.candidates == plain.candidates


def test_the_hard_column_of_labels_is_optional_and_counts_for_negatives(tmp_path):
    columns = {
        "scenario_id": ["s"] * 3,
        "user_id": ["a", "b", "c"],
        "label": [0, 1, 0],
        "split": ["eval", "eval", "fit"],
    }
    pq.write_table(pa.table(columns), tmp_path / "plain.parquet")
    pq.write_table(pa.table(columns | {"hard": [True, True, True]}), tmp_path / "hard.parquet")
    assert read_hard(tmp_path / "plain.parquet") == {}
    assert read_hard(tmp_path / "hard.parquet") == {"s": frozenset({"a", "c"})}
