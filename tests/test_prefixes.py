"""Shorter vectors of the same weights: the axes of the text space, the nested loss, and the model put in service."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from model_pairs import LATER, demand_vectors, make_job, some_users

from feature_repo.contracts.errors import FoundError
from model import pointers
from model.distributed import Ranks
from model.few_shot import answer_seeds
from model.found import FoundModel
from model.recipes import found_default, found_paper, tiny
from model.shorten import shorten
from model.step import Step
from model.text_space import TextSpace, principal_axes
from model.vectors import Users

SIZE = tiny().prefixes[0]
DEMANDS = ["customers who will buy a garden chair", "coffee fans"]


@pytest.fixture(scope="module")
def short(trained_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shorter") / "models"
    shutil.copytree(trained_folder, folder)
    shorten(folder, SIZE)
    return FoundModel.from_pretrained(pointers.current(folder, missing=""))


def test_the_axes_turn_texts_without_changing_an_angle(texts):
    vectors = np.asarray(texts.vectors[1:])
    space = TextSpace.of(vectors, np.ones(len(vectors)))
    plain = space.centred(torch.from_numpy(vectors))
    turned = space.turned(plain)

    torch.testing.assert_close(turned @ turned.T, plain @ plain.T, atol=1e-5, rtol=0)
    torch.testing.assert_close(space.turned(plain, 5), turned[:, :5])
    assert (turned.square().mean(0).diff() < 1e-6).all()


def test_the_first_axes_hold_the_most():
    texts_VE = F.normalize(torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 7), dim=1)
    axes = principal_axes(texts_VE)

    square_E = (texts_VE @ axes.T).square().mean(0)
    assert (square_E.diff() <= 0).all()
    torch.testing.assert_close(axes @ axes.T, torch.eye(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(square_E[:2].sum(), torch.linalg.eigvalsh(texts_VE.T @ texts_VE / 500)[-2:].sum())
    assert torch.equal(principal_axes(texts_VE.flip(0)).sign(), axes.sign())


def test_every_prefix_costs_what_the_whole_costs(trained, texts, tiny_pairs, encoder, text_cache, tmp_path):
    from model.sentences import Sentences
    from model.stages import Alignment
    from model.train import _future_counts, _texts

    job = make_job(tmp_path, tiny_pairs, recipe=tiny(), encoder=encoder, cache=text_cache)
    strings, table = _texts(job)
    sentences = Sentences(trained, table, strings, _future_counts(job.pairs, table), job.encoder.encode)
    stage, step = Alignment(trained, table, sentences), Step(0, 0, Ranks())
    columns = next(job.loader(tiny().stage2).steps())
    weight_B = torch.arange(1.0, 1 + len(columns["user_key"]))
    asked, encoded_CE = stage._asked(columns, weight_B, step)
    users = stage._users(columns, (table, stage.text_VE))
    with torch.no_grad():
        _, terms = stage._sigmoid(columns, weight_B, users, asked, encoded_CE)
        happens_BC = stage._happens(columns, *asked).double()
        wanted = []
        for size in (*tiny().prefixes, users[0].shape[1] - 2):
            logits = []
            for row, day in zip(users[0], columns["cutoff_day"], strict=True):
                sentence_CM = trained.text(encoded_CE, int(day))
                logits.append(row[0] + sentence_CM[:, 1 : 1 + size] @ row[1 : 1 + size] + sentence_CM[:, -1])
            loss_BC = F.binary_cross_entropy_with_logits(torch.stack(logits).double(), happens_BC, reduction="none")
            wanted.append(float((loss_BC.mean(1) * weight_B).sum() / weight_B.sum()))

    assert len(wanted) == 2 and float(terms["vector"]) == pytest.approx(np.mean(wanted), rel=1e-5)


def test_a_shorter_model_gives_prefixes_of_the_same_vectors(trained, short, texts):
    columns = some_users(24)
    users, shorter = trained.embed(columns, texts), short.embed(columns, texts)
    asked, shortly = (demand_vectors(each, DEMANDS, LATER) for each in (trained, short))

    for whole, part in ((users.vectors, shorter.vectors), (asked, shortly)):
        assert part.shape[1] == short.width == SIZE + 2
        np.testing.assert_allclose(part, np.concatenate([whole[:, : SIZE + 1], whole[:, -1:]], 1), atol=1e-5)
    assert short.version != trained.version and short.own_state().keys() == trained.own_state().keys()


def test_any_size_may_follow_any_other(trained, short, trained_folder, tmp_path):
    shutil.copytree(trained_folder, tmp_path / "models")
    versions = [shorten(tmp_path / "models", size) for size in (SIZE, SIZE, 0)]

    assert versions == [short.version, short.version, trained.version]
    folder = tmp_path / "models" / short.version
    assert f'"served": {SIZE}' in (folder / "run.json").read_text()
    assert short.version in (folder / "README.md").read_text()


def test_seeds_correct_a_shorter_model(short, texts):
    users = short.embed(some_users(24), texts)
    sides = [Users(users.vectors[rows], users.texts[rows]) for rows in (slice(0, 5), slice(5, 10))]

    for demand in (DEMANDS[0], ""):
        answer = answer_seeds(short, demand, LATER, *sides, users, texts)
        assert np.isfinite(short.score(users, answer, texts)).all() and len(answer.vector) == short.width


def test_training_serves_the_size_of_the_settings(tiny_pairs, tmp_path, monkeypatch, encoder, text_cache):
    from model import train

    for name, value in {"WORKDIR": str(tmp_path), "VECTOR_SIZE": str(SIZE), "RECIPE": "tiny"}.items():
        monkeypatch.setenv(f"FOUND_{name}", value)
    for stage in ("1", "2"):
        monkeypatch.setattr("sys.argv", ["train", "--stage", stage, "--pairs", str(tiny_pairs)])
        train.main()
    model = FoundModel.from_pretrained(pointers.current(tmp_path / "models", missing=""))
    assert model.recipe == replace(tiny(), served=SIZE) and model.width == SIZE + 2


def test_an_untrained_size_is_refused_before_training(tiny_pairs, tmp_path, monkeypatch, capsys):
    from model import train

    for name, value in {"WORKDIR": str(tmp_path), "VECTOR_SIZE": "100", "RECIPE": "tiny"}.items():
        monkeypatch.setenv(f"FOUND_{name}", value)
    monkeypatch.setattr("sys.argv", ["train", "--stage", "1", "--pairs", str(tiny_pairs)])
    with pytest.raises(SystemExit, match="2"):
        train.main()
    assert "vectors of 100 features are not trained; it has [24] and, by 0, all." in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        (found_default(), {"prefixes": (256, 128)}, r"prefixes must ascend from 1 on, found \[256, 128\]"),
        (found_default(), {"prefixes": (0, 128)}, r"prefixes must ascend from 1 on, found \[0, 128\]"),
        (found_paper(), {"prefixes": (128,), "served": 128}, r"vectors of 128 features are not trained; it has \[\]"),
        (found_default(), {"served": 64}, r"vectors of 64 features are not trained; it has \[128, 256\]"),
    ],
)
def test_refused(recipe, changes, message):
    with pytest.raises(FoundError, match=message):
        replace(recipe, **changes)
