"""Packed attention equals plain attention, and no module or source is decoration."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from model_pairs import LATER, shuffled, some_users
from torch import nn

from feature_repo.contracts.errors import FoundError
from model.blocks import Attention, Block, Packing, causal, segment_mean, segment_softmax
from model.losses import cycle_loss
from model.recipes import RECIPES, recipe, tiny
from model.user_tower import UserTower

DEMANDS = ["customers who will buy a garden chair", "coffee fans", "users who will stop buying"]
SOURCES = {
    "bills": ("bills_text", "bills_day", "bills_amount", "bills_length"),
    "clicks": ("clicks_text", "clicks_day", "clicks_length"),
    "visits": ("visits_text", "visits_day", "visits_length"),
    "searches": ("searches_text", "searches_day", "searches_length"),
    "profile": ("profile_",),
    "activity": tuple(
        f"{s}_{what}"
        for s in ("bills", "clicks", "visits", "searches")
        for what in ("count", "active_days", "recency_days", "tenure_days")
    ),
}


def plain_attention(attention: Attention, query_BQD, key_BKD, may_see_BQK):
    """Multi-head attention on padded tensors, a query without keys giving zeros."""

    def heads(x):
        return x.unflatten(-1, (attention.heads, -1)).transpose(1, 2)

    query, key, value = attention.query(query_BQD), attention.key(key_BKD), attention.value(key_BKD)
    mixed = F.scaled_dot_product_attention(heads(query), heads(key), heads(value), attn_mask=may_see_BQK[:, None])
    return attention.out(mixed.transpose(1, 2).flatten(2).nan_to_num(0.0))


@pytest.fixture
def ragged():
    """Sequences of 5, 1, 3 and 0 positions, junk in the padding."""
    torch.manual_seed(0)
    is_real = torch.arange(5) < torch.tensor([5, 1, 3, 0])[:, None]
    return torch.where(is_real[..., None], torch.randn(4, 5, 8), 1e3), is_real


def test_packing_there_and_back(ragged):
    x_BTD, is_real = ragged
    packing = Packing(is_real)

    assert packing.pack(x_BTD).shape == (9, 8)
    torch.testing.assert_close(packing.unpack(packing.pack(x_BTD)), x_BTD.masked_fill(~is_real[..., None], 0.0))


def test_packed_self_attention_equals_the_padded_one(ragged):
    x_BTD, is_real = ragged
    attention, packing = Attention(8, 2), Packing(is_real)
    may_see = causal(5, x_BTD.device) & is_real[:, None]

    actual = attention(packing.pack(x_BTD), packing, packing.pack(x_BTD), packing, may_see)

    expected = plain_attention(attention, x_BTD, x_BTD, may_see)
    torch.testing.assert_close(actual, packing.pack(expected))


def test_packed_cross_attention_equals_the_padded_one_also_without_keys(ragged):
    key_BKD, is_key = ragged
    attention, keys = Attention(8, 4), Packing(is_key)
    query_BQD = torch.randn(4, 2, 8)
    queries = Packing(torch.ones(4, 2, dtype=torch.bool))
    may_see = is_key[:, None].expand(-1, 2, -1)

    actual = attention(query_BQD.flatten(0, 1), queries, keys.pack(key_BKD), keys, may_see)

    torch.testing.assert_close(actual, plain_attention(attention, query_BQD, key_BKD, may_see).flatten(0, 1))
    torch.testing.assert_close(actual[-2:], attention.out.bias.expand(2, -1))


def test_a_block_is_attention_then_mlp_each_on_a_residual(ragged):
    x_BTD, is_real = ragged
    block, packing = Block(8, 2, dropout=0.0), Packing(is_real)
    may_see = is_real[:, None].expand(-1, 5, -1)

    actual = block(packing.pack(x_BTD), packing, may_see)

    normed = block.before_attention(x_BTD)
    after = x_BTD + plain_attention(block.attention, normed, normed, may_see)
    torch.testing.assert_close(actual, packing.pack(after + block.mlp(block.before_mlp(after))))


def test_causal_contexts_do_not_see_later_windows():
    torch.manual_seed(0)
    block, packing = Block(8, 2, dropout=0.0), Packing(torch.ones(1, 6, dtype=torch.bool))
    x, changed = torch.randn(6, 8), torch.randn(6, 8)
    changed[:4] = x[:4]
    may_see = causal(6, x.device)[None]

    one, other = (block(value, packing, may_see) for value in (x, changed))

    torch.testing.assert_close(one[:4], other[:4])
    assert not torch.allclose(one[4:], other[4:])


def test_segments_are_the_users_own_rows():
    user_N, x_ND = torch.tensor([2, 0, 2, 2]), torch.tensor([[1.0, 5], [2, 6], [3, 7], [8, 9]])

    means, shares = segment_mean(x_ND, user_N, 3), segment_softmax(x_ND, user_N, 3)

    torch.testing.assert_close(means, torch.stack([x_ND[1], torch.zeros(2), x_ND[[0, 2, 3]].mean(0)]))
    torch.testing.assert_close(shares[[0, 2, 3]], x_ND[[0, 2, 3]].softmax(0))
    torch.testing.assert_close(shares[1], torch.ones(2))


@pytest.mark.parametrize("source", SOURCES)
def test_handing_a_source_to_other_users_changes_their_vectors(trained, texts, source):
    columns = some_users(24)

    moved = np.abs(
        trained.embed(shuffled(columns, *SOURCES[source]), texts).vectors - trained.embed(columns, texts).vectors
    ).max(1)

    assert (moved > 1e-4).mean() > 0.5


def scores(model, texts):
    users = model.embed(some_users(24), texts)
    return np.stack(
        [model.rescore(users.vectors @ d.vector, users.texts, texts, d) for d in model.read_demands(DEMANDS, LATER)], 1
    )


def noisy(model, name):
    """A copy of the model with noise for the weights of one module (or parameter)."""
    other = copy.deepcopy(model)
    found = other.get_submodule(name) if name in dict(other.named_modules()) else None
    tensors = [other.get_parameter(name)] if found is None else list(found.parameters())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in tensors:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (0.1 + tensor.std(correction=0)))
    return other


MODULES = [
    "user.sequence.events.text",
    "user.sequence.events.source",
    "user.sequence.events.amount",
    "user.sequence.age",
    "user.sequence.layers.0.attention",
    "user.sequence.layers.0.mlp",
    "user.sequence.norm",
    "user.table.value",
    "user.table.column",
    "user.table.layers.0.attention",
    "user.table.layers.0.mlp",
    "user.table.norm",
    "user.table.numbers",
    "user.searches.text",
    "user.searches.age",
    "user.fusion.absent",
    "user.fusion.source",
    "user.fusion.layers.0.attention",
    "user.fusion.layers.0.mlp",
    "user.fusion.norm",
    "user.attend",
    "user.attend_age",
    "user.gate",
    "user.head",
    "user.text_part",
    "user.propensity",
    "late.attend",
    "late.attend_age",
    "late.log_sharpness",
    "late.gain_H",
    "late.log_floor_H",
    "text.project",
    "text.bias",
    "text.bias_text",
    "text.bias_season",
]


@pytest.mark.parametrize("name", MODULES)
def test_noise_for_the_weights_of_any_module_changes_the_scores(trained, texts, name):
    assert np.abs(scores(noisy(trained, name), texts) - scores(trained, texts)).max() > 1e-3


def test_the_list_of_modules_is_complete(trained):
    """... but for the mask token of the table, which only stage 1 reads."""
    covered = tuple(f"{name}." for name in MODULES)
    own = [
        n for n, p in trained.named_parameters() if p.requires_grad and not n.startswith(("text.adapted", "text.enc"))
    ]
    blocks = ("before_attention", "before_keys", "before_mlp")

    left = [n for n in own if not f"{n}.".startswith(covered) and not any(b in n for b in blocks)]

    assert left == ["user.table.mask"]


def test_the_lora_weights_of_the_language_model_were_trained_and_matter(trained, texts):
    lora = {n: p for n, p in trained.text.adapted.named_parameters() if "lora_B" in n}

    assert lora and sum(bool(p.any()) for p in lora.values()) > len(lora) / 2
    with trained.text.adapted.disable_adapter():
        without = scores(trained, texts)
    assert np.abs(without - scores(trained, texts)).max() > 1e-6


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_a_cyclic_term(name):
    chosen = recipe(name)

    assert chosen.cycle_weight > 0 and 1 <= chosen.cycle_windows < chosen.windows


def test_users_with_enough_windows_pay_for_the_cycle(trained, texts):
    batch = trained.batch(some_users(24), texts)
    with torch.no_grad():
        _, context, _ = trained.user.sequence(batch, trained.centred(texts))
    loss = cycle_loss(context, batch.is_window_BW, cycle=tiny().cycle_windows)

    assert (batch.is_window_BW.sum(1) > tiny().cycle_windows).any() and loss > 0


def test_a_missing_source_is_the_absent_token_and_dropout_of_sources_is_for_training(trained, texts):
    columns = some_users(8)
    silent = copy.deepcopy(columns)
    silent["searches_length"][:] = 0
    batch = trained.batch(silent, texts)
    assert not batch.has_searches_B.any()
    tower: UserTower = copy.deepcopy(trained.user)
    other = copy.deepcopy(tower)
    nn.init.normal_(other.searches.text.weight)

    with torch.no_grad():
        one, two = (t(batch, trained.centred(texts))[0] for t in (tower, other))
        torch.testing.assert_close(one, two, msg="without searches their encoder has no say")
        nn.init.normal_(other.fusion.absent)
        assert not torch.allclose(one, other(batch, trained.centred(texts))[0])
        torch.testing.assert_close(tower(batch, trained.centred(texts))[0], one)


def test_unknown_recipes_and_impossible_numbers_are_refused():
    from dataclasses import replace

    with pytest.raises(FoundError, match=r"unknown recipe 'big'; recipes are \['found_default'"):
        recipe("big")
    for change, message in [
        ({"cycle_weight": 0.0}, "cycle_weight (lambda of equation 7) must be above 0"),
        ({"windows": 7}, "windows 7 must exceed cycle_windows 7, else no two windows are one cycle apart"),
        ({"heads": 3}, "width 16 must be a multiple of heads 3"),
        ({"fusion_layers": 0}, "fusion_layers must be at least 1, found 0"),
        ({"dropout": 1.0}, "dropout must lie in [0, 1), found 1.0"),
    ]:
        with pytest.raises(FoundError) as refused:
            replace(tiny(), **change)
        assert message in str(refused.value)
    with pytest.raises(FoundError, match="steps must be positive, found 0"):
        replace(tiny().stage1, steps=0)
