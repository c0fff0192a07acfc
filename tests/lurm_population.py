"""A population with several interests per user, and labels that depend on which of them meet."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from model.lurm.bags import Bags

TOPICS, PER_TOPIC, WIDTH, PERIODS = 24, 12, 32, 8


@dataclass(frozen=True)
class Population:
    """Bags of users; `happens_UL` are labels, `encoded_KE` the interests' texts."""

    bags: Bags
    encoded_KE: np.ndarray
    happens_UL: np.ndarray


def population(seed: int, *, users: int = 1_600) -> Population:
    """Each user has 2 to 5 of 24 topics and acts on some of them in each period. A label is true where two of its six
    topics meet, of 10 % at random."""
    random = np.random.default_rng(seed)
    topic_TE = random.normal(size=(TOPICS, WIDTH))
    encoded_KE = np.repeat(topic_TE, PER_TOPIC, 0) + 0.7 * random.normal(size=(TOPICS * PER_TOPIC, WIDTH))
    encoded_KE = (encoded_KE / np.linalg.norm(encoded_KE, axis=1, keepdims=True)).astype(np.float32)
    has_UT = np.zeros((users, TOPICS), bool)
    counts: dict[tuple[int, int, int], int] = {}
    for user in range(users):
        own = random.permutation(TOPICS)[: random.integers(2, 6)]
        has_UT[user, own] = True
        for ago in range(PERIODS):
            for topic in own[random.random(len(own)) < 0.4]:
                for item in random.integers(0, PER_TOPIC, random.integers(1, 4)):
                    key = (user, ago, int(topic * PER_TOPIC + item))
                    counts[key] = counts.get(key, 0) + 1
    labels = [has_UT[:, random.permutation(TOPICS)[:6]].sum(1) >= 2 for _ in range(4)]
    happens_UL = np.stack(labels, 1) ^ (random.random((users, len(labels))) < 0.1)
    columns = np.array([(*key, count) for key, count in sorted(counts.items())], np.int64).T
    return Population(Bags(tuple(f"u{i}" for i in range(users)), *columns), encoded_KE, happens_UL)


def raw_bag(bags: Bags, interests: int) -> np.ndarray:
    """[U, K]: the weighted bag of the whole life."""
    life = bags.whole_life()
    dense_UK = np.zeros((len(bags), interests), np.float32)
    dense_UK[life.user_N, life.interest_N] = life.weights()
    return dense_UK


def probe_auc(feature_UF: np.ndarray, happens_UL: np.ndarray) -> float:
    """The mean AUC of linear probes on the second half of the users. The first half fits them; a third of it chooses
    their strength."""
    half = len(feature_UF) // 2
    fit, choose, test = np.split(feature_UF / np.linalg.norm(feature_UF, axis=1).mean(), [2 * half // 3, half])
    found = []
    for label_U in happens_UL.T:
        own, others, asked = np.split(label_U, [2 * half // 3, half])
        probes = [LogisticRegression(C=c, max_iter=2_000).fit(fit, own) for c in (0.1, 1.0, 10.0)]
        best = max(probes, key=lambda probe: roc_auc_score(others, probe.decision_function(choose)))
        found.append(roc_auc_score(asked, best.decision_function(test)))
    return float(np.mean(found))
