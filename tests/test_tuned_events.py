"""Stage 2 with `tune_events`: the texts of histories are encoded live, and all that follows reads them as training did.

A model whose texts are read by one version of the encoder never meets the vectors of another.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddp_gradients import in_chunks, undropped
from model_pairs import LATER, all_texts, make_job, quiet, same_users, some_users, stirred, with_tuned_events
from test_grad_cache import step_of
from test_paper_recipe import small
from test_training import stage_of
from test_training import trained as losses_of

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import text_key
from model import pointers
from model.distributed import Ranks
from model.encoders import TunedEncoder, lora_of
from model.few_shot import answer_seeds
from model.found import FoundModel
from model.live_texts import live_texts
from model.options import arguments, with_options
from model.recipes import tiny
from model.step import Step
from model.text_encoder import TextEncoder
from model.train import stage1, stage2
from model.trainer import _groups
from model.vectors import Users

USERS = 11
TUNED = replace(quiet(tiny()), tune_events=True)


@pytest.fixture
def job(tmp_path, tiny_pairs, encoder, text_cache):
    return make_job(tmp_path / "models", tiny_pairs, recipe=TUNED, encoder=encoder, cache=text_cache)


def ready(stage):
    """The stage as the trainer hands it its batches, without dropout, its LoRA away from its start."""
    _groups(stage, stage.model.recipe)
    stirred(stage.model.encoder)
    return undropped(stage).train()


@pytest.fixture(scope="module")
def stages(tmp_path_factory, tiny_pairs, encoder, text_cache):
    """A stage per alignment; tests change copies."""
    found = {}
    for alignment in ("sigmoid", "infonce"):
        recipe, folder = replace(TUNED, alignment=alignment), tmp_path_factory.mktemp("models")
        found[alignment] = ready(
            stage_of(2, make_job(folder, tiny_pairs, recipe=recipe, encoder=encoder, cache=text_cache))
        )
    return found


def of_all_texts(model, columns, texts, strings):
    """What `live_texts` is to equal: every text of the lake encoded at once, whoever has it."""
    encoded_VE = model.text.space.centred(model.encoder(strings))
    return texts, torch.cat([torch.zeros_like(encoded_VE[:1]), encoded_VE])


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "in chunks"])
@pytest.mark.parametrize("alignment", ["sigmoid", "infonce"])
def test_loss_and_gradient_are_those_of_a_forward_over_all_texts(stages, monkeypatch, alignment, chunked):
    stage = (in_chunks if chunked else copy.deepcopy)(stages[alignment])
    loss, metrics, gradients = step_of(stage, 1)
    monkeypatch.setattr("model.stages.live_texts", of_all_texts)

    its_loss, its_metrics, its_gradients = step_of(copy.deepcopy(stages[alignment]), 1)

    assert loss == pytest.approx(its_loss, rel=1e-5) and metrics == pytest.approx(its_metrics, rel=1e-5)
    assert set(gradients) == set(its_gradients)
    parts = {name: name.startswith("model.event_encoder.") for name in gradients}
    for chosen in (True, False):
        ours, theirs = (
            torch.cat([found[n].flatten() for n in parts if parts[n] is chosen]) for found in (gradients, its_gradients)
        )
        assert theirs.norm() > 0 and float((ours - theirs).norm() / theirs.norm()) < 1e-4


def texts_of(columns) -> set[str]:
    """The distinct texts of these users' histories, by a plain loop."""
    known = {text_key(text): text for text in all_texts()}
    return {
        known[int(columns[f"{source}_text"][user][place])]
        for source in EVENT_SOURCES
        for user in range(len(columns["user_key"]))
        for place in range(columns[f"{source}_length"][user])
    }


def counted(model, monkeypatch) -> list[str]:
    """Every text that the event encoder is given from now on."""
    asked, encode = [], model.encoder.forward

    def counting(texts):
        asked.extend(texts)
        return encode(texts)

    monkeypatch.setattr(model.encoder, "forward", counting)
    return asked


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "in chunks"])
@pytest.mark.parametrize("alignment", ["sigmoid", "infonce"])
def test_each_distinct_text_of_a_batch_is_encoded_exactly_once(stages, monkeypatch, alignment, chunked):
    stage, columns = (in_chunks if chunked else copy.deepcopy)(stages[alignment]), some_users(USERS)
    asked = counted(stage.model, monkeypatch)

    stage(columns, torch.ones(USERS), Step(1, 0, Ranks()))

    assert len(asked) > 20 and sorted(asked) == sorted(texts_of(columns))


def test_users_without_any_text_need_no_encoding(stages, monkeypatch):
    stage, silent = copy.deepcopy(stages["sigmoid"]), some_users(1, first=8)
    asked = counted(stage.model, monkeypatch)

    loss, _ = stage(silent, torch.ones(1), Step(1, 0, Ranks()))

    assert loss.isfinite() and not asked and not texts_of(silent)


def test_switched_off_nothing_is_live_and_there_is_no_second_encoder(job, monkeypatch):
    stage = ready(stage_of(2, replace(job, recipe=replace(TUNED, tune_events=False))))
    asked = counted(stage.model, monkeypatch)

    stage(some_users(USERS), torch.ones(USERS), Step(1, 0, Ranks()))

    assert not asked and stage.model.encoder is stage.model.text.encoder
    assert not [name for name in stage.model.own_state() if "event_encoder" in name]
    assert not [name for name in _trained_names(stage) if "event_encoder" in name]


def _trained_names(stage):
    return [name for name, parameter in stage.named_parameters() if parameter.requires_grad]


def test_lora_alone_is_trained_in_the_event_encoder(stages):
    names = [name for name in _trained_names(stages["sigmoid"]) if "event_encoder" in name]

    assert names and all("lora_" in name for name in names)
    assert len(names) == len(lora_of(stages["sigmoid"].model.event_encoder))


def test_the_same_seed_gives_the_same_losses_also_in_bfloat16(job, tmp_path):
    job = replace(job, recipe=replace(job.recipe, stage2=replace(job.recipe.stage2, steps=3)))
    first, again = losses_of(2, job), losses_of(2, replace(job, models=tmp_path / "again"))
    rounded = with_options(job.recipe, {"precision": "bfloat16", "chunk_users": 4})

    assert first == again
    assert losses_of(2, replace(job, models=tmp_path / "rounded", recipe=rounded)) == pytest.approx(first, rel=0.02)


def test_the_paper_s_two_language_models_are_tuned_together(tmp_path, tiny_pairs, albert, qwen2):
    recipe = replace(small(albert, qwen2), tune_events=True)
    encoder = TextEncoder(albert, max_tokens=recipe.max_tokens)
    stage = ready(stage_of(2, make_job(tmp_path, tiny_pairs, recipe=recipe, encoder=encoder, cache=tmp_path)))

    _, _, gradients = step_of(stage, 1)

    for part in ("model.event_encoder.", "model.text."):
        assert sum(float(gradients[n].norm()) for n in gradients if n.startswith(part) and "lora_" in n) > 0


@pytest.fixture(scope="module")
def tuned_folder(tmp_path_factory, tiny_pairs, encoder, text_cache):
    """Both stages, as model.train leaves them."""
    recipe, folder = replace(tiny(), tune_events=True, lora_learning_rate=1e-2), tmp_path_factory.mktemp("tuned")
    job = make_job(folder, tiny_pairs, recipe=recipe, encoder=encoder, cache=text_cache)
    stage1(job)
    stage2(job)
    return folder


@pytest.fixture(scope="module")
def tuned(tuned_folder) -> FoundModel:
    return FoundModel.from_pretrained(pointers.current(tuned_folder, missing=""))


@pytest.fixture(scope="module")
def its_texts(tuned, text_cache):
    """The texts of the lake through its encoder."""
    tuned.cache_texts(text_cache, np.array([text_key(text) for text in all_texts()]), all_texts())
    return tuned.text_vectors(text_cache)


def test_training_moves_the_event_encoder_s_lora_and_nothing_else_of_it(tuned, tuned_folder, encoder):
    before = FoundModel.from_pretrained(pointers.current(tuned_folder / "stage1", missing=""))
    plain = encoder.transformer.state_dict()
    own = {name.replace(".base_layer", ""): tensor for name, tensor in tuned.encoder.transformer.state_dict().items()}

    assert all(torch.equal(own[name], plain[name]) for name in plain)
    adapters = zip(lora_of(tuned.encoder), lora_of(before.encoder), strict=True)
    moved = [not torch.equal(after, start) for (_, after), (_, start) in adapters]
    assert sum(moved) > len(moved) / 2


def test_before_training_it_encodes_as_the_plain_encoder_does(encoder, text_cache):
    fresh = TunedEncoder(TUNED).eval()

    np.testing.assert_array_equal(fresh.encode(all_texts()[:8]), encoder.encode(all_texts()[:8]))


def test_a_saved_and_loaded_model_gives_the_same_embeddings(tuned, its_texts, tmp_path):
    version = tuned.save_pretrained(tmp_path)
    again = FoundModel.from_pretrained(tmp_path / version)

    assert version == again.version and again.encoder.fingerprint == tuned.encoder.fingerprint
    same_users(again.embed(some_users(), its_texts), tuned.embed(some_users(), its_texts))
    np.testing.assert_array_equal(again.encode_texts(all_texts()[:4]), tuned.encode_texts(all_texts()[:4]))


def test_training_and_serving_read_the_same_vectors(stages, tmp_path):
    stage = copy.deepcopy(stages["sigmoid"]).eval()
    model, strings = stage.model, stage.sentences.strings
    model.cache_texts(tmp_path, stage.texts.keys, strings)
    served = model.text_vectors(tmp_path)

    with torch.no_grad():
        table, live_VE = live_texts(model, some_users(USERS), stage.texts, strings)

    torch.testing.assert_close(live_VE, model.centred(served.select(table.keys)), rtol=1e-4, atol=1e-5)


def test_every_version_of_the_encoder_has_a_cache_of_its_own(tuned, its_texts, texts, encoder, tmp_path):
    keys = np.array([text_key("garden chair")])
    folders = [tuned.cache_texts(tmp_path, keys, ["garden chair"])]
    changed = copy.deepcopy(tuned)
    with torch.no_grad():
        lora_of(changed.encoder)[0][1].view(-1)[0] += 1e-6
    folders.append(changed.cache_texts(tmp_path, keys, ["garden chair"]))

    assert [f.name for f in folders] == [tuned.encoder.fingerprint, changed.encoder.fingerprint]
    assert len({encoder.fingerprint, *(f.name for f in folders)}) == 3
    assert np.abs(its_texts.vectors - texts.vectors).max() > 1e-3
    assert len(changed.text_vectors(tmp_path).keys) == 1 and not len(changed.text_vectors(tmp_path / "other").keys)


def test_the_caches_hold_what_the_tuned_encoder_says(tuned, its_texts):
    rows = its_texts.rows(np.array([text_key(text) for text in all_texts()]))

    np.testing.assert_allclose(its_texts.vectors[rows], tuned.encode_texts(all_texts()), atol=1e-5)


def test_vectors_of_another_encoder_are_refused_by_name(tuned, its_texts, texts, encoder):
    users, demand = tuned.embed(some_users(4), its_texts), tuned.read_demands(["garden fans"], LATER)[0]
    expected = (
        f"this model reads texts through its own tuned encoder {tuned.encoder.fingerprint}, the vectors given are of "
        f"{encoder.fingerprint}: make them with the model's `cache_texts`, then `text_vectors`."
    )
    halves = [Users(users.vectors[rows], users.texts[rows]) for rows in (slice(2), slice(2, 4))]
    for ask in (
        lambda: tuned.embed(some_users(4), texts),
        lambda: tuned.score(users, demand, texts),
        lambda: answer_seeds(tuned, "garden fans", LATER, *halves, users, texts),
    ):
        with pytest.raises(FoundError) as refused:
            ask()
        assert str(refused.value) == expected
    with pytest.raises(FoundError, match="the vectors given are of an unknown one"):
        tuned.embed(some_users(4), replace(its_texts, encoder=""))
    assert np.isfinite(tuned.score(users, demand, its_texts)).all()


def test_a_user_of_whom_nothing_is_known_needs_no_texts(tuned):
    assert np.isfinite(tuned.embed_stranger(LATER).vectors).all()


def test_a_plain_model_takes_tables_as_before(trained, texts):
    same_users(trained.embed(some_users(4), replace(texts, encoder="")), trained.embed(some_users(4), texts))


def test_the_plain_encoder_s_cache_is_found_by_a_plain_model(trained, encoder, tmp_path):
    keys = np.array([text_key("garden chair")])
    folder = trained.cache_texts(tmp_path, keys, ["garden chair"])

    assert folder == tmp_path / encoder.fingerprint
    np.testing.assert_allclose(trained.text_vectors(tmp_path).vectors[1:], encoder.encode(["garden chair"]), atol=1e-6)


def test_a_model_can_be_given_an_encoder_of_its_own_after_training(trained, texts):
    """The helper of other tests: nothing but the reading of texts differs."""
    tuned = with_tuned_events(trained)
    differs = {n for n, p in tuned.own_state().items() if n not in trained.own_state()}

    assert differs and all(name.startswith("event_encoder.") for name in differs)


def test_the_option_switches_it_on_for_both_stages(monkeypatch):
    monkeypatch.setattr("sys.argv", "train --stage 1 --tune-events".split())

    assert with_options(tiny(), vars(arguments())) == replace(tiny(), tune_events=True)
