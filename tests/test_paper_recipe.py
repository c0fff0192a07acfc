"""The paper's own model: its sizes, its two language models, its options, and that docs/paper.md names what exists."""

import json
import math
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_pairs import LATER, all_texts, demand_vectors, make_job, same_users, some_users
from served_lake import ROOT
from tiny_language_models import albert_sizes, qwen2_sizes

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.templates import DESCRIPTION_ITEMS, NOTHING, text_key
from model import parameters, pointers
from model.config import Optimisation, Recipe
from model.distributed import Ranks
from model.few_shot import tune_prompt
from model.found import FoundModel
from model.parameters import Part, activity_alone, parts, table_of
from model.recipes import found_paper, recipe, tiny
from model.sentences import Sentences
from model.stages import Alignment, SelfSupervised
from model.step import Step
from model.text_encoder import TextEncoder, is_causal
from model.text_space import TextSpace
from model.train import Job, _arguments, _job, _texts, stage1, stage2

DEMANDS = ["buy garden chair", "page of coffee cup", "goods"]
STEPS = Optimisation(steps=3, batch_users=8, learning_rate=4e-3, warmup_steps=0)


def small(encoder: str, language_model: str) -> Recipe:
    """found_paper with fewer and narrower layers."""
    return replace(
        found_paper(),
        stage1=STEPS,
        stage2=STEPS,
        encoder=encoder,
        language_model=language_model,
        embedding=12,
        width=16,
        heads=2,
        windows=12,
        sequence_layers=2,
        table_layers=1,
        fusion_layers=2,
        max_tokens=8,
        description_tokens=40,
    )


def job_of(chosen: Recipe, folder, pairs) -> Job:
    encoder = TextEncoder(chosen.encoder, max_tokens=chosen.max_tokens)
    return make_job(folder / "models", pairs, recipe=chosen, encoder=encoder, cache=folder / "cache")


def both_stages(job: Job) -> FoundModel:
    stage1(job)
    stage2(job)
    return FoundModel.from_pretrained(pointers.current(job.models, missing=""))


@pytest.fixture(scope="module")
def paper_job(albert, qwen2, tiny_pairs, tmp_path_factory):
    return job_of(small(albert, qwen2), tmp_path_factory.mktemp("paper"), tiny_pairs)


@pytest.fixture(scope="module")
def paper(paper_job) -> FoundModel:
    """Both stages of the small paper recipe; tests do not change it."""
    return both_stages(paper_job)


@pytest.fixture(scope="module")
def paper_texts(paper_job):
    return _texts(paper_job)[1]


def test_the_sizes_are_those_of_section_5_1_4():
    chosen = found_paper()

    assert (chosen.embedding, chosen.width, chosen.sequence_layers, chosen.fusion_layers) == (1024, 1024, 6, 5)
    assert (chosen.sequence, chosen.fusion, chosen.alignment) == ("transformer", "cross_attention", "infonce")
    assert (chosen.encoder, chosen.language_model) == ("albert/albert-base-v2", "Qwen/Qwen2-1.5B")
    assert {s.learning_rate for s in (chosen.stage1, chosen.stage2)} == {chosen.lora_learning_rate} == {4e-4}
    assert chosen.stage1.warmup_steps == chosen.stage2.warmup_steps == 0


@pytest.mark.parametrize(
    ("name", "billions"),
    [("Qwen/Qwen2-1.5B", 1.5437), ("Qwen/Qwen1.5-1.8B", 1.5258), ("albert/albert-base-v2", 0.0117)],
)
def test_the_language_models_have_their_published_sizes(name, billions):
    with torch.device("meta"):
        shapes = parameters.Shapes(name)

    assert sum(p.numel() for p in shapes.parameters()) / 1e9 == pytest.approx(billions, rel=2e-3)
    assert shapes.is_causal == name.startswith("Qwen")


def test_the_document_shows_the_parameters_that_the_command_prints(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["model.parameters"])

    parameters.main()

    printed = capsys.readouterr().out
    assert printed in (ROOT / "docs/paper.md").read_text() and printed.count("\n") == 14


CHANGES = [{}, {"sequence": "gru", "fusion": "concatenation"}, {"language_model": ""}, {"tune_events": True}]


@pytest.mark.parametrize("change", CHANGES)
def test_parts_on_the_meta_device_add_up_to_the_model(albert, qwen2, monkeypatch, change):
    chosen = replace(small(albert, qwen2), **change)
    vocabulary = activity_alone(chosen.bins)
    model = FoundModel(chosen, vocabulary, TextSpace(torch.zeros(16)), metadata={})

    found = parts(chosen, vocabulary)

    counts = {part.name: part.parameters for part in found}
    assert sum(counts.values()) - counts["heads of stage 1"] == sum(p.numel() for p in model.parameters())
    assert counts["fusion"] == sum(p.numel() for p in model.user.fusion.parameters())
    assert counts["text head"] == sum(p.numel() for p in model.text.project.parameters())
    lora = sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)
    assert counts["LoRA"] + counts.get("LoRA of events", 0) == lora
    assert ("LoRA of events" in counts) == chosen.tune_events


def test_a_model_in_the_encoders_own_space_can_be_measured_too():
    found = {part.name: part for part in parts(recipe("found_default"), activity_alone(16))}

    assert "event and search encoder" not in found and found["late interaction"].stages == "2"
    assert found["language model"].parameters == pytest.approx(22.7e6, rel=0.01)


def test_parts_are_shown_as_a_table_with_their_sum():
    assert table_of([Part("a", 1000, "1, 2"), Part("b", 5, "")]).splitlines()[2:] == [
        "| a | 1,000 | 1, 2 |",
        "| b | 5 | never |",
        "| all | 1,005 | 1,000 of them |",
    ]


def lora_of(model: FoundModel) -> dict[str, torch.Tensor]:
    return {n: p for n, p in model.text.adapted.named_parameters() if "lora_B" in n and "pooler" not in n}


def test_both_stages_train_lora_and_leave_the_language_models_as_they_were(paper, albert, qwen2):
    assert all(p.any() for p in lora_of(paper).values()) and lora_of(paper)
    for folder, ours in ((albert, paper.event_encoder), (qwen2, paper.text.encoder)):
        original = dict(TextEncoder(folder, max_tokens=8).transformer.named_parameters())
        own = {n.replace("base_layer.", ""): p for n, p in ours.transformer.named_parameters() if "lora_" not in n}
        assert own.keys() == original.keys()
        assert all(torch.equal(own[n], original[n]) for n in own)


def asking(model: FoundModel, texts) -> Alignment:
    strings = sorted(set(all_texts()), key=text_key)
    count = np.ones(len(strings), np.int64)
    return Alignment(model, texts, Sentences(model, texts, strings, count, model.encode_texts))


def test_the_losses_of_both_stages_are_finite_and_alignment_starts_at_ignorance(paper, paper_texts):
    columns, weight, step = some_users(16), torch.ones(16), Step(0, 0, Ranks())
    fresh = FoundModel(paper.recipe, paper.vocabulary, paper.text.space, metadata=paper.metadata)

    for stage in (SelfSupervised(fresh, paper_texts), asking(fresh, paper_texts)):
        loss, metrics = stage(columns, weight, step)
        assert loss.isfinite() and all(value.isfinite() for value in metrics.values())

    assert metrics["alignment"].item() == pytest.approx(math.log(16), rel=0.2)


def test_negatives_from_the_whole_batch_make_the_forecast_harder(paper, paper_texts):
    columns, weight, step = some_users(16), torch.ones(16), Step(0, 0, Ranks())
    chosen = [replace(paper.recipe, cpc_negatives=negatives) for negatives in ("in_user", "in_batch")]
    cost = []
    for each in chosen:
        torch.manual_seed(0)
        model = FoundModel(each, paper.vocabulary, paper.text.space, metadata=paper.metadata)
        cost.append(SelfSupervised(model, paper_texts)(columns, weight, step)[1]["cpc"].item())

    assert cost[1] > cost[0] + 0.5


def test_a_description_strings_the_futures_sentences_together(paper, paper_texts):
    stage, columns = asking(paper, paper_texts), some_users(12)
    future = paper_texts.rows(columns["future_text"])

    one, again, later = (stage._descriptions(future, Step(number, 0, Ranks())) for number in (0, 0, 1))

    assert one == again != later
    for text, rows in zip(one, future, strict=True):
        own = {stage.sentences.strings[row - 1] for row in rows[rows > 0]}
        said = text.split(". ")
        assert set(said) <= own and len(said) == len(set(said)) == min(len(own), DESCRIPTION_ITEMS)
    assert one[5] == NOTHING, "every 6th user does nothing"
    assert stage._descriptions(future[:1] * 0, Step(0, 0, Ranks())) == [NOTHING]


def test_a_saved_paper_model_gives_the_same_vectors(paper, paper_texts, tmp_path):
    again = FoundModel.from_pretrained(tmp_path / paper.save_pretrained(tmp_path))

    assert again.version == paper.version and again.recipe == paper.recipe
    same_users(again.embed(some_users(), paper_texts), paper.embed(some_users(), paper_texts))
    np.testing.assert_array_equal(demand_vectors(again, DEMANDS, LATER), demand_vectors(paper, DEMANDS, LATER))
    assert not [n for n in paper.own_state() if "event_encoder" in n or "embed_tokens" in n]


def test_the_inner_product_of_a_user_and_a_sentence_is_their_cosine(paper, paper_texts):
    users, demands = paper.embed(some_users(), paper_texts), paper.read_demands(DEMANDS, LATER)

    for demand in demands:
        scores = paper.rescore(users.vectors @ demand.vector, users.texts, paper_texts, demand)
        expected = users.vectors[:, 1:-1] @ demand.vector[1:-1]
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(demand.vector[1:-1]), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(users.vectors[:, 1:-1], axis=1), 1.0, atol=1e-5)
    assert users.vectors.shape[1] == paper.width == 12 + 2 and np.ptp(expected) > 0


def test_the_day_of_a_demand_changes_nothing_in_the_paper(paper):
    one, other = (demand_vectors(paper, DEMANDS, LATER.replace(month=month)) for month in (1, 7))

    np.testing.assert_array_equal(one, other)


def test_texts_are_compared_and_cached_in_the_event_encoders_space(paper, paper_job, paper_texts):
    ours = TextEncoder(paper_job.recipe.encoder, max_tokens=8)

    np.testing.assert_allclose(paper.encode_texts(DEMANDS), ours.encode(DEMANDS), atol=1e-6)
    cached = paper.text_vectors(paper_job.encoder.cache.folder.parent)
    np.testing.assert_array_equal(cached.select(paper_texts.keys).vectors, paper_texts.vectors)
    assert paper.embed_stranger(LATER).vectors.shape == (1, paper.width)


@pytest.mark.parametrize("language_model", ["qwen2", "half_qwen2", "albert", ""])
def test_any_language_model_can_be_the_text_tower(language_model, albert, tiny_pairs, tmp_path, request):
    folder = request.getfixturevalue(language_model) if language_model else ""
    job = job_of(small(albert, folder), tmp_path, tiny_pairs)

    model = both_stages(job)

    assert lora_of(model) and all(p.any() for p in lora_of(model).values())
    columns = some_users(8)
    vectors = model.embed(columns, _texts(job)[1]).vectors
    tuned = tune_prompt(model, "", LATER, vectors[:3], vectors[3:], 0)
    assert tuned.vector.shape == (model.width,) and np.isfinite(tuned.vector).all()


def test_lora_on_albert_adapts_the_shared_layer_once(albert, tiny_pairs, tmp_path):
    model = FoundModel(
        small(albert, albert), activity_alone(4), TextSpace(torch.zeros(16)), metadata={"sources": ["bills"]}
    )
    shared = [n for n in lora_of(model) if "albert_layers" in n]

    assert len(shared) == len({n.split("albert_layers.0.")[1] for n in shared}) == 6
    before = model.text.live(DEMANDS).detach()
    with torch.no_grad():
        for name in shared:
            torch.nn.init.normal_(lora_of(model)[name])
    assert not torch.allclose(before, model.text.live(DEMANDS).detach(), atol=1e-3)
    np.testing.assert_array_equal(model.encode_texts(DEMANDS), TextEncoder(albert, max_tokens=8).encode(DEMANDS))


@pytest.mark.parametrize(
    "change", [{"sequence": "gru"}, {"fusion": "concatenation"}, {"cpc_negatives": "in_batch"}, {"embedding": 5}]
)
def test_every_option_of_the_paper_trains(change, paper, albert, qwen2, tiny_pairs, tmp_path):
    job = job_of(replace(small(albert, qwen2), **change), tmp_path, tiny_pairs)

    model = both_stages(job)

    vectors = model.embed(some_users(), _texts(job)[1]).vectors
    assert np.isfinite(vectors).all() and np.ptp(vectors[:, 1:-1], axis=0).min() > 0
    assert model.version != paper.version and model.recipe == job.recipe


@pytest.mark.parametrize("sequence", ["transformer", "gru"])
def test_a_context_sees_no_later_window_and_no_padding(sequence, albert, qwen2, paper_texts, paper):
    chosen = replace(small(albert, qwen2), sequence=sequence)
    model = FoundModel(chosen, paper.vocabulary, paper.text.space, metadata=paper.metadata).eval()
    columns = some_users(24)
    batch, texts = model.batch(columns, paper_texts), model.centred(paper_texts)
    user = int(batch.is_window_BW.sum(1).argmax())
    count = int(batch.is_window_BW[user].sum())
    newest = replace(batch, event_amount_BE=batch.event_amount_BE + (batch.event_window_BE == count - 1) * 3.0)

    with torch.no_grad():
        _, context, _ = model.user.sequence(batch, texts)
        _, changed, _ = model.user.sequence(newest, texts)
        alone = {n: v[[user]] for n, v in columns.items()}
        _, by_itself, _ = model.user.sequence(model.batch(alone, paper_texts), texts)

    torch.testing.assert_close(changed[user, : count - 1], context[user, : count - 1])
    assert count > 2 and not torch.allclose(changed[user, count - 1], context[user, count - 1], atol=1e-4)
    torch.testing.assert_close(by_itself[0, :count], context[user, :count], rtol=1e-4, atol=1e-5)
    assert not context[~batch.is_window_BW].any()


def test_concatenation_reads_each_source_embedding_and_the_absent_token(albert, qwen2, paper, paper_texts):
    chosen = replace(small(albert, qwen2), fusion="concatenation")
    model = FoundModel(chosen, paper.vocabulary, paper.text.space, metadata=paper.metadata).eval()
    columns = some_users(24)
    silent = columns | {"searches_length": columns["searches_length"] * 0}

    with torch.no_grad():
        before = model.embed(silent, paper_texts).vectors
        model.user.searches.text.weight.normal_()
        np.testing.assert_array_equal(model.embed(silent, paper_texts).vectors, before)
        model.user.fusion.absent[2] += 1.0
        assert (np.abs(model.embed(silent, paper_texts).vectors - before).max(1) > 1e-4).all()


def test_a_causal_model_reads_a_sentence_at_its_end_token(qwen2):
    encoder = TextEncoder(qwen2, max_tokens=6)
    tokens = encoder.tokens(["lamp", "", "goods page of baby blanket in shop buy"])
    end = encoder.tokenizer.eos_token_id

    ids = [row[mask.bool()].tolist() for row, mask in zip(tokens["input_ids"], tokens["attention_mask"], strict=True)]

    assert all(row[-1] == end and end not in row[:-1] for row in ids)
    assert encoder.tokenizer.decode(ids[0][:-1]) == "lamp" and [len(row) for row in ids[1:]] == [1, 6]
    hidden = encoder.transformer(torch.tensor([ids[0]])).last_hidden_state[0, -1]
    torch.testing.assert_close(encoder(["lamp"])[0], hidden / hidden.norm())


@pytest.mark.parametrize("side", ["left", "right"])
def test_batch_mates_and_the_side_of_padding_change_no_sentence(qwen2, side):
    encoder = TextEncoder(qwen2, max_tokens=16)
    alone = np.concatenate([encoder.encode([text]) for text in DEMANDS])
    encoder.tokenizer.padding_side = side

    np.testing.assert_allclose(encoder.encode(DEMANDS), alone, atol=1e-5)


def test_what_reads_both_ways_is_averaged_over_its_tokens(albert):
    encoder = TextEncoder(albert, max_tokens=8)
    tokens = encoder.tokenizer(DEMANDS[:1], return_tensors="pt")

    mean = encoder.transformer(**tokens).last_hidden_state[0].mean(0)

    torch.testing.assert_close(encoder(DEMANDS[:1])[0], mean / mean.norm())
    assert not encoder.is_causal and is_causal(qwen2_sizes()) and not is_causal(albert_sizes())


def test_a_causal_model_without_an_end_token_is_refused(qwen2, tmp_path):
    folder = shutil.copytree(qwen2, tmp_path / "endless")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": None}))

    with pytest.raises(FoundError) as refused:
        TextEncoder(str(folder), max_tokens=8)
    assert str(refused.value) == (
        f"the text encoder {str(folder)!r} is a causal language model, and its tokenizer has no end token to read a "
        "sentence's vector from: set `eos_token` in its tokenizer_config.json."
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": -1}, "embedding must be 0 or more, found -1"),
        (
            {"embedding": 0},
            "language_model 'Qwen/Qwen2-1.5B' has a space of its own, so both towers must project: set embedding "
            "above 0",
        ),
        (
            {"alignment": "sigmoid"},
            "alignment 'sigmoid' needs the encoder's own space, found embedding 1024: set embedding to 0 or alignment "
            "to 'infonce'",
        ),
        ({"sequence": "lstm"}, "sequence must be one of ['transformer', 'gru'], found 'lstm'"),
        ({"fusion": "sum"}, "fusion must be one of ['cross_attention', 'concatenation'], found 'sum'"),
        (
            {"cpc_negatives": "in_batch", "stage1": replace(found_paper().stage1, chunk_users=4)},
            "in-batch negatives need the whole batch at once, found stage1.chunk_users 4: set it to 0 or cpc_negatives "
            "to 'in_user'",
        ),
        ({"cpc_negatives": "all"}, "cpc_negatives must be one of ['in_user', 'in_batch'], found 'all'"),
        ({"description_tokens": 0}, "description_tokens must be at least 1, found 0"),
    ],
)
def test_a_recipe_that_no_model_can_have_is_refused(change, message):
    with pytest.raises(FoundError) as refused:
        replace(found_paper(), **change)
    assert str(refused.value) == f"recipe found_paper: {message}."


def test_both_language_models_of_a_recipe_can_be_named():
    chosen = recipe("found_paper", encoder="folder/a", language_model="folder/b")

    assert chosen == replace(found_paper(), encoder="folder/a", language_model="folder/b")
    assert Recipe.from_dict(chosen.to_dict()) == chosen


def test_the_command_line_names_both_language_models_and_else_they_are_the_recipes(
    albert, qwen2, tiny_pairs, tmp_path, monkeypatch
):
    given = ["--stage", "1", "--pairs", str(tiny_pairs), "--workdir", str(tmp_path)]
    paper = ["--recipe", "found_paper", "--encoder", albert, "--language-model", qwen2]
    found = []
    for asked in (paper, ["--recipe", "tiny"]):
        monkeypatch.setattr(sys, "argv", ["model.train", *given, *asked])
        arguments = _arguments()
        settings = read_settings({}, tmp_path).with_arguments(vars(arguments))
        found.append(_job(settings, arguments, Ranks()).recipe)

    assert found == [replace(found_paper(), encoder=albert, language_model=qwen2), tiny()]


PAPER = (ROOT / "docs/paper.md").read_text()
"""Names are written `path`, `path::name` or, of a test's many, `path::name[case]`."""


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.[a-z]+)", PAPER))))
def test_every_file_that_the_document_names_exists(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([a-z_0-9/]+\.py::[A-Za-z_0-9.]+)`", PAPER))))
def test_every_test_and_definition_that_the_document_names_exists(named):
    path, name = named.split("::")
    text = (ROOT / path).read_text()

    assert all(re.search(rf"^ *(?:def|class) {part}\b|^{part}\b", text, re.M) for part in name.split("."))


def test_the_document_maps_every_equation_table_and_figure():
    assert [n for n in range(1, 15) if f"| ({n}) " not in PAPER] == []
    assert [name for n in range(1, 6) if (name := f"Table {n}") not in PAPER] == []
    assert [name for n in range(1, 5) if (name := f"Figure {n}") not in PAPER] == []
