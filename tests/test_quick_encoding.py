"""A language model that is prepared for single sentences gives the vectors of the plain one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.found import FoundModel
from model.quick_encoding import LaidOut, OneRow, plain_and_adapted, unadapted
from model.text_encoder import TextEncoder

TEXTS = ["a garden chair", "tea", "a long sentence about nothing at all", "", "tea"]


@pytest.fixture(scope="module")
def with_lora(calibrated_folder) -> TextEncoder:
    """Of a model whose adapter says something."""
    model = FoundModel.from_pretrained(calibrated_folder)
    with torch.no_grad():
        for name, weights in model.text.adapted.named_parameters():
            if "lora_B" in name:
                weights.normal_(std=0.05, generator=torch.Generator().manual_seed(len(name)))
    return model.text.encoder


@pytest.fixture(scope="module")
def quick(with_lora) -> tuple[OneRow, OneRow]:
    plain, adapted = plain_and_adapted(with_lora)
    assert isinstance(plain, OneRow) and isinstance(adapted, OneRow)
    return plain, adapted


def vectors(encode, texts) -> "np.ndarray":
    with torch.no_grad():
        return encode(texts).numpy()


def test_with_and_without_the_adapter_texts_have_their_vectors(with_lora, quick):
    expected = [unadapted(with_lora).encode(TEXTS), with_lora.encode(TEXTS)]

    assert np.abs(expected[0] - expected[1]).max() > 0.01
    for encode, vector_NE in zip(quick, expected, strict=True):
        np.testing.assert_allclose(vectors(encode, TEXTS), vector_NE, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text("ab cdé9,", max_size=40), min_size=1, max_size=6), st.integers(0, 5))
def test_a_text_in_a_row_sees_itself_alone(quick, texts, at):
    plain, _ = quick
    text = texts[at % len(texts)]

    np.testing.assert_allclose(vectors(plain, texts)[at % len(texts)], vectors(plain, [text])[0], atol=1e-6)


def test_what_is_too_long_is_cut(with_lora, quick):
    text = "tea " * 2 * with_lora.max_tokens
    np.testing.assert_allclose(vectors(quick[1], [text, "tea"]), with_lora.encode([text, "tea"]), atol=1e-6)


def test_exported_the_numbers_are_the_very_same(with_lora):
    plain, _ = plain_and_adapted(with_lora)
    before = [vectors(plain, TEXTS), vectors(plain, ["tea"])]

    plain.export()

    assert plain._exported is not plain.hidden
    for texts, expected in zip((TEXTS, ["tea"]), before, strict=True):
        np.testing.assert_array_equal(vectors(plain, texts), expected)


def test_what_cannot_be_exported_or_gives_other_numbers_is_asked_as_it_is(with_lora, monkeypatch, caplog):
    plain, _ = plain_and_adapted(with_lora)
    caplog.set_level("INFO")

    monkeypatch.setattr("torch.export.export", lambda *_, **__: 1 / 0)
    plain.export()
    assert "cannot be exported" in caplog.text and plain._exported is plain.hidden

    class Other:
        def module(self):
            return lambda *row: plain.hidden(*row).flip(1)

    monkeypatch.setattr("torch.export.export", lambda *_, **__: Other())
    plain.export()
    assert plain._exported is plain.hidden


def test_a_model_that_reads_no_mask_is_not_given_several_texts_in_a_row(with_lora, monkeypatch):
    forward = OneRow.forward
    monkeypatch.setattr(OneRow, "forward", lambda self, texts: forward(self, texts).flip(0))

    for encode, expected in zip(plain_and_adapted(with_lora), (unadapted(with_lora), with_lora), strict=True):
        assert isinstance(encode, TextEncoder)
        np.testing.assert_allclose(vectors(encode, TEXTS), expected.encode(TEXTS), atol=1e-6)


def test_without_one_dnn_texts_share_a_row_nevertheless(with_lora, monkeypatch):
    def lacking(*_):
        raise AttributeError("_reorder_linear_weight")

    monkeypatch.setattr(LaidOut, "__init__", lacking)

    for encode, expected in zip(plain_and_adapted(with_lora), (unadapted(with_lora), with_lora), strict=True):
        assert isinstance(encode, OneRow)
        np.testing.assert_allclose(vectors(encode, TEXTS), expected.encode(TEXTS), atol=1e-6)


def test_of_a_large_model_no_weights_are_laid_out_again(with_lora, monkeypatch):
    monkeypatch.setattr("model.quick_encoding.SMALL", 0)
    monkeypatch.setattr(LaidOut, "__init__", lambda *_: 1 / 0)

    plain, adapted = plain_and_adapted(with_lora)

    assert adapted is with_lora and isinstance(plain, TextEncoder)


@pytest.mark.parametrize("name", ["albert", "qwen2"])
def test_other_language_models_keep_their_vectors(name, request):
    encoder = TextEncoder(request.getfixturevalue(name), max_tokens=16)

    for encode in plain_and_adapted(encoder):
        np.testing.assert_allclose(vectors(encode, TEXTS), encoder.encode(TEXTS), atol=1e-4)
