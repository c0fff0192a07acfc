"""What `found evaluate` leaves of one (cut-off, horizon), and a lake's scenarios, from the tiny users."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from model_pairs import CATEGORIES, COLUMNS, LATER, TOPICS

from feature_repo.contracts.events import BEHAVIOUR_SOURCES, EVENT_SOURCES
from feature_repo.contracts.names import EMBEDDING, INPUT_VIEWS, Workdir
from feature_repo.contracts.templates import text_key
from model.evaluation.suite.compute import Lake

HORIZON = 30
USERS = 120
GHOST = "never seen"


def scenario(number: int, cutoff=LATER) -> dict:
    return {
        "id": f"s{number}",
        "demand": f"{TOPICS[number]} fans",
        "cutoff": cutoff.isoformat(),
        "horizon_days": HORIZON,
        "domain": "shop",
    }


def write_scenarios(folder, documents, *, users=USERS):
    """Three scenarios: who has the topic's habit does it; every fifth user is a fit label; one user has no history."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenarios.yaml").write_text(yaml.safe_dump(documents))
    rows = [
        {
            "scenario_id": d["id"],
            "user_id": f"u{key}",
            "label": int(key % len(TOPICS) == int(d["id"][1:])),
            "split": "fit" if key % 5 == 4 else "eval",
        }
        for d in documents
        for key in range(1, users + 1)
    ]
    rows += [{"scenario_id": d["id"], "user_id": GHOST, "label": 0, "split": "eval"} for d in documents]
    pq.write_table(pa.Table.from_pylist(rows), folder / "labels.parquet")
    return folder


def write_run(root, users, models, cache, cutoff=LATER):
    """The work directory of one (cut-off, horizon), as `found evaluate` leaves it."""
    run = root / f"{cutoff.isoformat()}_{HORIZON}d"
    run.mkdir(parents=True)
    (run / "models").symlink_to(models)
    (run / "text_cache").symlink_to(cache)
    folder = Workdir(run).partition(EMBEDDING, cutoff)
    folder.mkdir(parents=True)
    keys, weights = ([own[part] for own in users.texts] for part in (0, 1))
    columns = {
        "user_id": [f"u{key}" for key in range(1, len(users.vectors) + 1)],
        "vector": pa.array(list(users.vectors), pa.list_(pa.float32())),
        "text_keys": pa.array(keys, pa.list_(pa.int64())),
        "text_weights": pa.array(weights, pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), folder / "part-00000.parquet")
    return run


def write_snapshot(work, users, names, cutoff):
    """The four views of these users as build_features leaves them."""
    city = {text_key(value): value for value in CATEGORIES} | {0: None}
    for view in INPUT_VIEWS:
        prefixes = {"history": BEHAVIOUR_SOURCES, "searches": ("searches",)}.get(view, ())
        rows = {"user_id": names, "event_timestamp": [0] * len(names)}
        for column in COLUMNS:
            name = column.name
            is_sequence = name.endswith(("_text", "_day", "_amount", "_length"))
            if is_sequence and name.startswith(prefixes or "none"):
                lengths = users[f"{name.split('_')[0]}_length"]
                values = users[name]
                rows[name] = values if column.length is None else [v[:n] for v, n in zip(values, lengths, strict=True)]
            elif view == "activity" and not is_sequence and name.split("_")[0] in (*EVENT_SOURCES, "spend"):
                rows[name] = users[name]
        if view == "profile":
            rows["city"] = [city[key] for key in users["profile_categories"][:, 0]]
            rows["tier"] = [city[key] for key in users["profile_categories"][:, 1]]
            rows["age"] = [None if np.isnan(v) else float(v) for v in users["profile_numbers"][:, 0]]
        folder = work.partition(view, cutoff)
        folder.mkdir(parents=True)
        pq.write_table(pa.table(rows), folder / "part-00000.parquet")


def evaluated_lake(root, users, embedded, models, cache, pairs):
    """A lake of three scenarios whose only (cut-off, horizon) is trained and embedded."""
    run = write_run(root / "runs", embedded, models, cache)
    (run / "pairs").symlink_to(pairs)
    write_snapshot(Workdir(run), users, [f"u{key}" for key in range(1, USERS + 1)], LATER)
    write_scenarios(root / "tiny" / "scenarios", [scenario(number) for number in range(3)])
    return Lake.open(root / "tiny", root / "runs")
