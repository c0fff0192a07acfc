"""A variant differs from FOUND in one thing: what it sees, what it is asked, or what of it is trained."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from model_pairs import LATER, some_users, write_pairs

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import EVENT_TEMPLATES, LEVELS, NOTHING, SPENT_SUMMARY, money, text_key
from model import pointers
from model.data import open_pairs, read_file, read_file_pyarrow
from model.evaluation.variants.columns import past_as_future, without
from model.evaluation.variants.fit import answer, train, unread, widened
from model.evaluation.variants.pairs import derived, merged, without_profile
from model.evaluation.variants.variant import Variant
from model.found import FoundModel
from model.recipes import found_default, tiny

EUR = "EUR"


@pytest.fixture
def pairs(tiny_pairs):
    return open_pairs(tiny_pairs)


def summary_keys():
    spent = [SPENT_SUMMARY.format(amount=money(step, EUR)) for step in LEVELS]
    return [text_key(text) for text in (NOTHING, *(t.summary for t in EVENT_TEMPLATES.values()), *spent)]


def every_key(users):
    texts = [users[f"{source}_text"].ravel() for source in EVENT_SOURCES]
    return np.unique(np.concatenate([*texts, np.array(summary_keys())]))


def told_by_a_loop(users, row: int, days: int, slots: int) -> list[int]:
    """The sentences of [t - days, t) of one user, one event after the other."""
    others, summaries, spent = set(), set(), 0
    for source in EVENT_SOURCES:
        for place in range(users[f"{source}_length"][row]):
            if users[f"{source}_day"][row, place] < users["cutoff_day"][row] - days:
                continue
            others.add(int(users[f"{source}_text"][row, place]))
            summaries.add(text_key(EVENT_TEMPLATES[source].summary))
            if source == "bills":
                spent += round(float(users["bills_amount"][row, place]) * 10_000)
    steps = [step for step in LEVELS if step * 10_000 <= spent]
    summaries |= {text_key(SPENT_SUMMARY.format(amount=money(step, EUR))) for step in steps}
    kept = [*summaries, *sorted(others)[: slots - len(summaries)]]
    return sorted(kept or [text_key(NOTHING)])


@pytest.mark.parametrize("days", [1, 30, 400])
def test_the_past_in_the_place_of_the_future_is_what_a_loop_tells(days):
    users = some_users(40)
    told = past_as_future(users, days, currency=EUR, known=every_key(users))
    slots = users["future_text"].shape[1]
    for row in range(40):
        keys = told["future_text"][row]
        assert keys[keys > 0].tolist() == told_by_a_loop(users, row, days, slots)
        assert told["future_length"][row] == (keys > 0).sum() and not keys[told["future_length"][row] :].any()


def test_a_past_sentence_without_a_text_is_left_out_and_the_history_stays():
    users = some_users(40)
    gone = text_key(EVENT_TEMPLATES["bills"].summary)
    known = every_key(users)
    told = past_as_future(users, 400, currency=EUR, known=known[known != gone])
    assert not (told["future_text"] == gone).any()
    assert (past_as_future(users, 400, currency=EUR, known=known)["future_text"] == gone).any()
    for name in users.keys() - {"future_text", "future_length"}:
        np.testing.assert_array_equal(told[name], users[name])


@pytest.mark.parametrize("source", [*EVENT_SOURCES, "profiles"])
def test_without_a_source_a_user_is_one_of_whom_it_was_never_seen(source):
    users = some_users(24)
    seen = without(users, [source])
    own = "profile_" if source == "profiles" else f"{source}_"
    changed = {name for name in users if not np.array_equal(users[name], seen[name], equal_nan=True)}
    allowed = ("spend", own) if source == "bills" else (own,)
    assert changed and all(name.startswith(allowed) for name in changed)
    stranger = without(some_users(24, first=7), [source])
    for name in changed:
        np.testing.assert_array_equal(seen[name], stranger[name])
        assert seen[name].dtype == users[name].dtype
    if source != "profiles":
        assert set(seen[f"{source}_recency_days"]) == {-1} and not seen[f"{source}_length"].any()


def test_derived_pairs_have_the_same_rows_and_files_for_both_readers(pairs, tmp_path):
    made = derived(pairs, tmp_path / "made", lambda columns: without(columns, ["bills"]), how="no bills")
    assert [path.name for path in made.files] == [path.name for path in pairs.files]
    for before, after in zip(pairs.files, made.files, strict=True):
        expected = without(read_file_pyarrow(before), ["bills"])
        for read in (read_file, read_file_pyarrow):
            found = read(after)
            assert found.keys() == expected.keys()
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name])
        assert pq.ParquetFile(after).num_row_groups == 1
    assert made.texts()[1] == pairs.texts()[1]
    other = derived(pairs, tmp_path / "other", dict, how="as they are")
    fingerprints = {each.manifest["fingerprint"] for each in (pairs, made, other)}
    assert len(fingerprints) == 3


def test_pairs_without_profiles_are_those_of_a_lake_that_has_none(pairs, tmp_path):
    made = without_profile(pairs, tmp_path / "made")
    assert made.manifest["profile"] == {"categorical": [], "numeric": []}
    found = read_file_pyarrow(made.files[0])
    for column in made.columns:
        assert found[column.name].shape[1:] == (() if column.length is None else (column.length,))
    assert not found["profile_categories"].any() and np.isnan(found["profile_numbers"]).all()


def test_merged_pairs_hold_the_rows_of_every_lake_in_every_file_and_each_text_once(pairs, tmp_path):
    other = open_pairs(write_pairs(tmp_path / "other", rows_per_file=(4,) * 3, fingerprint="other"))
    made = merged([pairs, other], tmp_path / "made")
    rows = [len(read_file(path)["user_key"]) for path in made.files]
    assert rows == [10] * 3 + [6] * 13 and made.manifest["rows"] == sum(rows) and made.manifest["files"] == len(rows)
    keys, texts = made.texts()
    assert len(set(keys.tolist())) == len(keys) and dict(zip(keys, texts, strict=True)) == {
        key: text for part in (pairs, other) for key, text in zip(*part.texts(), strict=True)
    }
    assert made.manifest["lake"] == "tiny and tiny" and made.manifest["fingerprint"] != pairs.manifest["fingerprint"]


def test_lakes_of_other_lengths_are_refused_together(pairs, tmp_path):
    folder = write_pairs(tmp_path / "other")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"lengths": {"events": 3, "searches": 4, "future": 5}}))
    with pytest.raises(FoundError, match=r"trained on together with the same lengths of arrays, found .*'events': 3"):
        merged([pairs, open_pairs(folder)], tmp_path / "made")


def trained_variant(variant, pairs, cache, folder) -> FoundModel:
    return train(variant, tiny(), pairs, cache, folder, 0)


def weights(module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_frozen_encoders_stay_as_stage_1_left_them_and_the_rest_learns(pairs, text_cache, tmp_path):
    model = trained_variant(Variant("f", "", alignment="frozen encoders"), pairs, text_cache, tmp_path)
    start = FoundModel.from_pretrained(pointers.current(tmp_path / "stage1", missing=""))
    assert same(weights(model.user.sequence), weights(start.user.sequence))
    assert same(weights(model.user.table), weights(start.user.table))
    assert not same(weights(model.user.fusion), weights(start.user.fusion))
    assert model.calibration is not None and start.calibration is None


def test_without_stage_2_only_the_texts_decide(pairs, text_cache, tmp_path, texts):
    model = trained_variant(Variant("n", "", alignment="none"), pairs, text_cache, tmp_path)
    assert not any(float(value.abs().sum()) for value in weights(model.user.propensity).values())
    users = some_users(12)
    silent = without(users, EVENT_SOURCES)
    scores = answer(model, silent, texts, ["garden fans"], LATER)
    np.testing.assert_allclose(scores, scores[:1].repeat(12, 0), atol=1e-5)
    assert answer(model, users, texts, ["garden fans"], LATER).std() > 0.01


def test_without_stage_1_stage_2_starts_from_the_weights_as_drawn(pairs, text_cache, tmp_path):
    variants = [Variant("a", "", alignment="none"), Variant("b", "", pretrained=False, alignment="none")]
    whole, drawn = (trained_variant(v, pairs, text_cache, tmp_path / v.name) for v in variants)
    again = trained_variant(variants[1], pairs, text_cache, tmp_path / "again")
    assert same(weights(drawn.user), weights(again.user)) and not same(weights(drawn.user), weights(whole.user))


def test_a_new_source_is_read_like_the_mean_of_the_known_ones(trained_folder, texts):
    model = FoundModel.from_pretrained(pointers.current(trained_folder, missing=""))
    model.metadata["sources"] = ["bills", "clicks"]
    users = some_users(6)
    blind = without(users, ["bills", "clicks"])
    before = answer(model, blind, texts, ["garden fans"], LATER)
    wide = widened(model, ["visits", "searches", "profiles"])
    kinds = wide.user.sequence.events.source.weight
    torch.testing.assert_close(kinds[2], kinds[:2].mean(0))
    assert wide.metadata["sources"] == ["bills", "clicks", "visits"]
    assert not np.allclose(answer(wide, blind, texts, ["garden fans"], LATER), before)


def test_searches_are_unread_where_nobody_searched_in_training(trained):
    assert unread(trained) == ()
    known = trained.vocabulary
    heard = [(name, edges) for name, edges in zip((*known.numeric, *known.activity), known.edges, strict=True)]
    kept = [(name, edges) for name, edges in heard if not name.startswith("searches_")]
    activity = tuple(name for name, _ in kept[len(known.numeric) :])
    vocabulary = replace(known, activity=activity, edges=tuple(edges for _, edges in kept))
    deaf = FoundModel(trained.recipe, vocabulary, trained.text.space, metadata=trained.metadata)
    assert unread(deaf) == ("searches",)


def test_scores_are_log_odds_only_where_the_sigmoid_is_trained():
    assert Variant("a", "").gives_odds and Variant("a", "", changed=(("fusion", "concatenation"),)).gives_odds
    assert not Variant("a", "", recipe="paper_small").gives_odds
    assert not Variant("a", "", changed=(("alignment", "infonce"),)).gives_odds
    assert not Variant("a", "", alignment="none").gives_odds


def test_a_variant_trains_with_founds_own_recipe_but_for_its_change():
    base = replace(found_default(), encoder="my-encoder", served=128)
    changed = Variant("a", "", changed=(("fusion", "concatenation"),)).recipe_of(base)
    assert changed == replace(base, fusion="concatenation", served=0)
    paper = Variant("a", "", recipe="paper_small").recipe_of(base)
    assert (paper.name, paper.encoder, paper.alignment) == ("paper_small", "my-encoder", "infonce")
