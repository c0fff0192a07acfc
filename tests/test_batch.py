"""What the model sees of a user: windows, ages, padding, hashes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_pairs import COLUMNS, LATER, TOPICS, same_users, shuffled, some_users, texts_of

from feature_repo.contracts.templates import text_key
from model.batch import AGES, ages, day_windows, log_scaled, nobody, trimmed, user_batch

DAYS = st.lists(st.lists(st.integers(0, 40), min_size=6, max_size=6), min_size=1, max_size=5)


@settings(deadline=None)
@given(rows=DAYS, windows=st.integers(1, 8))
def test_windows_are_the_active_days_dense_and_oldest_first(rows, windows):
    day, cutoff = np.array(rows, np.int32), np.full(len(rows), 50, np.int32)

    ordinal, age, is_window = day_windows(day, cutoff, windows)

    assert is_window.shape == age.shape == (len(rows), windows)
    for user, days in enumerate(rows):
        active = sorted({d for d in days if d})
        kept = active[-windows:]
        assert is_window[user].tolist() == [i < len(kept) for i in range(windows)]
        for slot, d in enumerate(days):
            expected = max(0, active.index(d) - (len(active) - len(kept))) if d else 0
            assert ordinal[user, slot] == expected
        assert age[user, : len(kept)].tolist() == ages(cutoff[:1], np.array([kept], np.int32))[0].tolist()
        assert not age[user, len(kept) :].any()


@pytest.mark.parametrize(
    ("age", "bucket"),
    [(1, 0), (2, 1), (3, 2), (4, 3), (5, 3), (6, 4), (9, 4), (10, 5), (17, 5), (18, 6), (1025, 11), (1026, 12)],
)
def test_ages_fall_into_log_buckets(age, bucket):
    """The event of the day before the cut-off is 0 days old: 0, 1, 2, 3-4, 5-8, 9-16 ..."""
    assert ages(np.array([20_000]), np.array([[20_000 - age]]))[0, 0] == bucket < AGES


def test_amounts_are_log_scaled_in_quarters_with_their_sign():
    values = log_scaled(np.array([0.0, 1.0, -1.0, 1e9], np.float32))

    np.testing.assert_array_equal(values, np.array([0.0, 0.75, -0.75, 20.75], np.float32))


def test_trimming_cuts_only_slots_that_are_padding_for_everyone():
    arrays = {"text": np.array([[5, 0, 0], [6, 7, 0]]), "day": np.array([[1, 0, 0], [2, 3, 0]])}

    assert trimmed(arrays, "text")["day"].tolist() == [[1, 0], [2, 3]]
    assert trimmed({"text": np.zeros((2, 3))}, "text")["text"].shape == (2, 1)


def test_trimmed_and_full_arrays_give_the_same_vector(trained, texts):
    import torch

    columns = some_users(16)
    short = {n: v.copy() for n, v in columns.items()}
    for source in ("bills", "clicks", "visits"):
        short[f"{source}_length"] = np.minimum(short[f"{source}_length"], 5)
    cut, full = (user_batch(short, texts=texts, view=trained.view, trim=trim) for trim in (True, False))

    assert cut.event_text_BE.shape[1] < full.event_text_BE.shape[1]
    with torch.no_grad():
        towers = [trained.users(b, trained.centred(texts)) for b in (cut, full)]
    for one, other in zip(*((vectors, trained.late.weights(history)) for vectors, history in towers), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_what_lies_after_the_length_is_never_seen(trained, texts):
    columns = some_users(16)
    dirty = {n: v.copy() for n, v in columns.items()}
    for source in ("bills", "clicks", "visits", "searches"):
        beyond = np.arange(columns[f"{source}_text"].shape[1])[None] >= columns[f"{source}_length"][:, None]
        dirty[f"{source}_text"][beyond] = text_key(texts_of("garden", source)[0])
        dirty[f"{source}_day"][beyond] = 19_000
    dirty["bills_amount"][np.arange(16)[None] >= columns["bills_length"][:, None]] = 1e6

    assert trained.input_hashes(dirty) == trained.input_hashes(columns)
    same_users(trained.embed(dirty, texts), trained.embed(columns, texts))


def test_the_order_of_users_and_their_batch_mates_change_nothing(trained, texts):
    columns = some_users(24)
    order = np.random.default_rng(0).permutation(24)
    users = trained.embed(columns, texts)

    permuted = trained.embed({n: v[order] for n, v in columns.items()}, texts)
    alone = trained.embed({n: v[3:4] for n, v in columns.items()}, texts)

    np.testing.assert_allclose(permuted.vectors, users.vectors[order], atol=1e-5)
    np.testing.assert_allclose(alone.vectors, users.vectors[3:4], atol=1e-5)
    for place, user in enumerate(order):
        np.testing.assert_array_equal(permuted.texts[place][0], users.texts[user][0])
        np.testing.assert_allclose(permuted.texts[place][1], users.texts[user][1], atol=1e-5)
    reordered = trained.input_hashes({n: v[order] for n, v in columns.items()})
    assert reordered == [trained.input_hashes(columns)[i] for i in order]


def far_from_edges(columns):
    """Every event 20 to 30 days old, inside the bucket 17 - 32 also one day later."""
    moved = {n: v.copy() for n, v in columns.items()}
    for source in ("bills", "clicks", "visits", "searches"):
        real = moved[f"{source}_day"] > 0
        age = 20 + (moved["cutoff_day"][:, None] - moved[f"{source}_day"]) % 10
        moved[f"{source}_day"] = np.where(real, moved["cutoff_day"][:, None] - age, 0).astype(np.int32)
    return moved


def test_a_night_in_which_no_bucket_changes_keeps_the_hash_and_the_vector(trained, texts):
    today = far_from_edges(some_users())
    tomorrow = {**today, "cutoff_day": today["cutoff_day"] + 1}

    assert trained.input_hashes(tomorrow) == trained.input_hashes(today)
    same_users(trained.embed(tomorrow, texts), trained.embed(today, texts))


def test_a_season_later_the_hash_has_changed(trained):
    today = far_from_edges(some_users())
    later = {**today, "cutoff_day": today["cutoff_day"] + 60}
    seen = today["bills_length"] > 0

    changed = np.array(trained.input_hashes(later)) != np.array(trained.input_hashes(today))

    assert changed[seen].all()


@pytest.mark.parametrize(
    "change",
    ["bills_text", "clicks_text", "visits_text", "searches_text", "bills_amount", "bills_day", "profile", "activity"],
)
def test_the_hash_changes_with_whatever_the_model_sees(trained, texts, change):
    """... and with it the vector, for the user concerned alone."""
    columns = some_users(8)
    user, after = 2, {n: v.copy() for n, v in columns.items()}
    topic = TOPICS[(int(columns["user_key"][user]) + 1) % len(TOPICS)]
    if change.endswith("_text"):
        after[change][user, 0] = text_key(texts_of(topic, change.removesuffix("_text"))[0])
    elif change == "bills_amount":
        after[change][user, 0] += 5000
    elif change == "bills_day":
        after[change][user, 0] -= 250
    elif change == "profile":
        after["profile_categories"][user, 0] = columns["profile_categories"][user + 1, 0]
    else:
        after["visits_count"][user] += 40

    changed = np.array(trained.input_hashes(after)) != np.array(trained.input_hashes(columns))
    moved = np.abs(trained.embed(after, texts).vectors - trained.embed(columns, texts).vectors).max(1)

    assert changed.tolist() == [i == user for i in range(8)]
    assert moved[user] > 0 and moved[~changed].max() <= 1e-6


def test_what_the_model_does_not_see_changes_no_hash(trained):
    columns = some_users(8)
    other = {**shuffled(columns, "future_"), "user_key": columns["user_key"] + 1}

    assert trained.input_hashes(other) == trained.input_hashes(columns)


def test_nobody_is_a_user_without_anything():
    columns = nobody(COLUMNS)

    assert set(columns) == {c.name for c in COLUMNS}
    assert not any(columns[f"{s}_length"].any() for s in ("bills", "clicks", "visits", "searches"))
    assert np.isnan(columns["profile_numbers"]).all() and columns["visits_recency_days"][0] == -1


def test_a_stranger_has_a_vector_and_so_has_a_user_without_history(trained, texts):
    columns = some_users(8)
    silent = columns["user_key"] % 8 == 0
    users, stranger = trained.embed(columns, texts), trained.embed_stranger(LATER)
    vectors = users.vectors

    assert silent.sum() == 1 and np.isfinite(vectors).all() and np.isfinite(stranger.vectors).all()
    assert vectors.shape == (8, trained.width) and stranger.vectors.shape == (1, trained.width)
    assert [len(keys) == 0 for keys, _ in users.texts] == silent.tolist() and len(stranger.texts[0][0]) == 0
    np.testing.assert_array_equal(vectors[:, -1], 1.0)
