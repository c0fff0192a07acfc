"""LURM: interests, bags, the multi-anchor encoder and what it keeps of a user."""

import json
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from lurm_population import population, probe_auc, raw_bag
from safetensors.torch import load_file, save_file

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import CENTROIDS, INTERESTS_CONFIG, Workdir
from feature_repo.contracts.templates import text_key
from model import pointers
from model.config import Optimisation
from model.lurm import kmeans
from model.lurm.bags import Bags, bags_of, joined, open_bags
from model.lurm.cluster import assign_texts, cluster_texts, current_interests
from model.lurm.contrast import kept, nt_xent, view
from model.lurm.embed import refuse_other_periods, write_anchors
from model.lurm.encoder import AGES, CONFIG, WEIGHTS, MultiAnchorEncoder, Shape, age_buckets, best_anchor
from model.lurm.interests import Interests, fit, read_interest_of_text, write_interest_of_text
from model.lurm.kmeans import nearest, spherical_kmeans
from model.lurm.train import train_encoder, train_on
from model.text_cache import CachedEncoder

DS = date(2022, 8, 1)
FEW_STEPS = Optimisation(steps=3, batch_users=8, learning_rate=1e-3, weight_decay=0.0, warmup_steps=1)
LIVES = {
    "anna": {0: {3: 2, 7: 1}, 1: {3: 1}, 5: {0: 4}},
    "ben": {2: {7: 9}},
    "nobody": {},
    "carl": {0: {1: 1}, 3: {1: 2, 2: 2}, 4: {2: 1, 7: 1}},
}


def units(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def interests_of(count: int = 10, width: int = 6, seed: int = 0) -> Interests:
    return Interests(torch.zeros(width), units(count, width, seed), "some encoder")


def random_encoder(shape: Shape, interests: Interests, seed: int = 1) -> MultiAnchorEncoder:
    """With no parameter at its start."""
    encoder = MultiAnchorEncoder.untrained(shape, interests, seed=0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return encoder


class TestKMeans:
    def test_nearest_is_the_first_of_the_largest_inner_products(self):
        point, centroid = units(50, 5), units(7, 5, seed=1)
        centroid = torch.cat([centroid, centroid])

        place, product = nearest(point, centroid)

        products = (point.numpy()[:, None].astype(np.float64) * centroid.numpy()).sum(-1)  # equal rows, equal sums
        assert place.tolist() == products.argmax(1).tolist()
        torch.testing.assert_close(product, (point * centroid[place]).sum(1))

    def test_no_chunk_has_more_similarities_than_the_limit(self, monkeypatch):
        point, seen, inner = units(100, 4), [], kmeans._nearest
        whole = spherical_kmeans(point, 9, seed=3)
        monkeypatch.setattr(kmeans, "CELLS", 60)
        monkeypatch.setattr(kmeans, "_nearest", lambda p, c: seen.append(len(p) * len(c)) or inner(p, c))

        torch.testing.assert_close(spherical_kmeans(point, 9, seed=3), whole)
        assert 54 <= max(seen) <= 60

    def test_iterations_are_lloyd_s(self):
        """Against a plain loop."""
        point = units(60, 4)
        centroid = point[kmeans.start(point, 4, seed=5)].numpy()
        for _ in range(2):
            own = [int(np.argmax(centroid @ p)) for p in point.numpy()]
            means = [sum(p for p, c in zip(point.numpy(), own, strict=True) if c == k) for k in range(4)]
            centroid = np.stack([m / np.linalg.norm(m) for m in means])

        np.testing.assert_allclose(spherical_kmeans(point, 4, seed=5, iterations=2), centroid, atol=1e-6)

    def test_groups_are_found_and_the_same_seed_gives_the_same_bits(self):
        centre = units(5, 16)
        point = F.normalize(centre.repeat_interleave(40, 0) + 0.1 * units(200, 16, seed=2), dim=1)

        one, again = (spherical_kmeans(point, 5, seed=0) for _ in range(2))

        assert torch.equal(one, again)
        place = nearest(point, one)[0].view(5, 40)
        assert all(len(set(group.tolist())) == 1 for group in place) and len(set(place[:, 0].tolist())) == 5

    def test_an_empty_cluster_starts_anew_at_the_farthest_point(self, monkeypatch):
        near, beside, far = [1.0, 0.0, 0.0], [1.0, 0.2, 0.0], [0.0, 0.0, 1.0]
        point = F.normalize(torch.tensor([near] * 9 + [beside, far]), dim=1)
        monkeypatch.setattr(kmeans, "start", lambda *_, **__: torch.tensor([0, 1, 2]))

        found = spherical_kmeans(point, 3, seed=0)

        assert sorted(nearest(found, point)[0].tolist()) == [0, 9, 10] and found.isfinite().all()

    @pytest.mark.parametrize("clusters", [1, 7, 40, 49, 50])
    def test_the_start_is_of_different_points_that_lie_apart(self, clusters):
        point = F.normalize(units(5, 8).repeat(10, 1) + 1e-3 * units(50, 8, seed=1), dim=1)

        place = kmeans.start(point, clusters, seed=clusters)

        assert len(set(place.tolist())) == clusters
        assert len({i % 5 for i in place.tolist()}) == min(clusters, 5)

    def test_there_are_never_more_clusters_than_points(self):
        assert torch.equal(spherical_kmeans(units(6, 3), 100, seed=0), units(6, 3))


class Toys:
    """An encoder whose vectors tell the first word of a text."""

    width, fingerprint = 8, "toys"

    def encode(self, texts):
        rows = [np.random.default_rng(text_key(t.split()[0]) % 2**32).normal(size=8) for t in texts]
        noise = [np.random.default_rng(text_key(t) % 2**32).normal(size=8) for t in texts]
        return np.array([r + 0.05 * n for r, n in zip(rows, noise, strict=True)], np.float32)


TEXTS = [f"{topic} {n}" for topic in ("tea", "tent", "soap") for n in range(6)]


def write_texts(work: Workdir, texts) -> None:
    work.interest_texts.mkdir(parents=True, exist_ok=True)
    keys = pa.array([text_key(t) for t in texts], pa.int64())
    pq.write_table(pa.table({"text_key": keys, "text": list(texts)}), work.interest_texts / "part-00000.parquet")


@pytest.fixture
def work(tmp_path) -> Workdir:
    """Texts of three topics, clustered into three interests."""
    work = Workdir(tmp_path / "work")
    write_texts(work, TEXTS)
    cluster_texts(work, CachedEncoder(work.text_cache, Toys()), clusters=3, seed=0)
    return work


def interest_by_topic(of_text, texts) -> dict[str, set[int]]:
    return {t.split()[0]: {of_text[text_key(x)] for x in texts if x.split()[0] == t.split()[0]} for t in texts}


class TestInterests:
    def test_texts_of_one_topic_are_one_interest(self, work):
        found = interest_by_topic(read_interest_of_text(current_interests(work)), TEXTS)

        assert sorted(map(sorted, found.values())) == [[0], [1], [2]]
        table = pq.read_table(str(current_interests(work) / "interest_of_text.parquet"))
        assert table.schema.types == [pa.int64(), pa.int32()]
        assert table["text_key"].to_pylist() == sorted(map(text_key, TEXTS))

    def test_an_unseen_text_goes_to_the_nearest_and_a_known_one_keeps_its_interest(self, work):
        folder = current_interests(work)
        before = read_interest_of_text(folder)
        moved = {key: (interest + 1) % 3 for key, interest in before.items()}
        write_interest_of_text(folder, moved)
        write_texts(work, [*TEXTS[:3], "tea unseen", "soap unseen"])

        new = assign_texts(work, CachedEncoder(work.text_cache, Toys()))

        after = read_interest_of_text(folder)
        assert new == 2 and moved.items() <= after.items() and len(after) == len(TEXTS) + 2
        assert after[text_key("tea unseen")] == before[text_key("tea 0")]
        assert after[text_key("soap unseen")] == before[text_key("soap 0")]

    def test_what_is_saved_is_loaded(self, work):
        folder = current_interests(work)
        loaded = Interests.load(folder)
        again = fit(Toys().encode(TEXTS), clusters=3, seed=0, encoder="toys")

        assert folder.name == loaded.version and len(loaded) == 3 and loaded.encoder == "toys"
        assert json.loads((folder / INTERESTS_CONFIG).read_text())["clusters"] == 3
        assert {p.name for p in folder.parent.iterdir()} == {folder.name, "CURRENT"}
        assert len(again) == 3 and again.version != replace(again, encoder="other").version

    def test_the_number_of_interests_is_checked_and_at_most_that_of_the_texts(self):
        encoded = Toys().encode(TEXTS)

        assert len(fit(encoded, clusters=100_000, seed=0, encoder="e")) == len(TEXTS)
        for wrong in (0, 100_001):
            with pytest.raises(FoundError) as error:
                fit(encoded, clusters=wrong, seed=0, encoder="e")
            assert str(error.value) == f"the number of interests must lie in 1 to 100000, found {wrong}."
        with pytest.raises(FoundError, match=r"there is no text to cluster: run `build_interests\.py texts`"):
            fit(encoded[:0], clusters=1, seed=0, encoder="e")

    def test_another_encoder_is_refused(self, work):
        other = Toys()
        other.fingerprint = "other"

        with pytest.raises(FoundError) as error:
            assign_texts(work, CachedEncoder(work.text_cache, other))
        assert str(error.value) == (
            f"the interests in {current_interests(work)} were made by the encoder toys, this one is other: use the "
            "same --encoder, or run `python -m model.lurm.cluster fit` again."
        )

    def test_missing_and_damaged_interests_are_refused(self, work, tmp_path):
        folder = current_interests(work)
        with pytest.raises(FoundError, match=r"no current model in .*: run `python -m model\.lurm\.cluster fit` first"):
            current_interests(Workdir(tmp_path / "elsewhere"))
        with pytest.raises(FoundError, match=r"no texts in .*: run spark_jobs/build_interests\.py texts first\."):
            cluster_texts(Workdir(tmp_path / "no"), CachedEncoder(tmp_path, Toys()), clusters=2, seed=0)
        with pytest.raises(FoundError, match=r"no interests in .*: run `python -m model\.lurm\.cluster fit` first\."):
            Interests.load(tmp_path / "nowhere")
        state = load_file(str(folder / CENTROIDS))
        save_file({"centre": state["centre"], "centroids": state["centroids"] + 1}, str(folder / CENTROIDS))
        with pytest.raises(FoundError, match=f"are of version .*, their config says {folder.name}: run"):
            Interests.load(folder)
        save_file({"centre": state["centre"]}, str(folder / CENTROIDS))
        with pytest.raises(FoundError, match=r"lacks \['centroids'\]: run `python -m model\.lurm\.cluster fit`"):
            Interests.load(folder)


def lives_of(bags: Bags) -> dict:
    found: dict = {user: {} for user in bags.users}
    columns = (bags.user_N, bags.ago_N, bags.interest_N, bags.count_N)
    for user, ago, interest, count in zip(*(c.tolist() for c in columns), strict=True):
        found[bags.users[user]].setdefault(ago, {})[interest] = count
    return found


class TestBags:
    def test_longer_periods_add_up_the_counts(self):
        bags = bags_of(LIVES)

        assert lives_of(bags.merged(2)) == {
            "anna": {0: {3: 3, 7: 1}, 2: {0: 4}},
            "ben": {1: {7: 9}},
            "nobody": {},
            "carl": {0: {1: 1}, 1: {1: 2, 2: 2}, 2: {2: 1, 7: 1}},
        }
        assert lives_of(bags.whole_life())["carl"] == {0: {1: 3, 2: 3, 7: 1}}
        assert lives_of(bags.merged(3).merged(2)) == lives_of(bags.merged(6))
        assert bags.merged(1).interest_N.tolist() == bags.interest_N.tolist()

    def test_weights_are_unit_vectors_of_log_counts(self):
        bags = bags_of(LIVES)
        expected = []
        for life in LIVES.values():
            for _, bag in sorted(life.items()):
                logs = [math.log(1 + count) for _, count in sorted(bag.items())]
                expected += [w / math.sqrt(sum(x * x for x in logs)) for w in logs]

        np.testing.assert_allclose(bags.weights(), expected, rtol=1e-6)

    def test_users_are_chosen_in_the_order_asked_for(self):
        chosen = bags_of(LIVES).of_users(np.array([3, 2, 0]))

        assert chosen.users == ("carl", "nobody", "anna")
        assert lives_of(chosen) == {user: LIVES[user] for user in chosen.users}
        assert list(chosen.user_N) == sorted(chosen.user_N)

    def test_sets_of_users_are_joined(self):
        bags = bags_of(LIVES)

        assert lives_of(joined([bags.of_users(np.array([0, 1])), bags.of_users(np.array([2, 3]))])) == LIVES

    def test_nobody_has_no_bags(self):
        nothing = bags_of({"a": {}, "b": {}})

        assert nothing.merged(3).weights().shape == (0,) and len(nothing.whole_life()) == 2

    def test_a_folder_s_files_are_read_one_after_the_other(self, tmp_path):
        write_bags(tmp_path / "bags", LIVES, files=2, interests="v")

        folder = open_bags(tmp_path / "bags", interests="v")

        assert [b.users for b in folder.files()] == [("anna", "ben"), ("carl",)]
        assert lives_of(folder.read()) == {user: life for user, life in LIVES.items() if life}

    def test_missing_bags_and_bags_of_other_interests_are_refused(self, tmp_path):
        with pytest.raises(FoundError, match=r"no bags of interests in .*: run spark_jobs/build_interests\.py bags"):
            open_bags(tmp_path, interests="v")
        write_bags(tmp_path / "bags", LIVES, interests="v")
        with pytest.raises(FoundError) as error:
            open_bags(tmp_path / "bags", interests="w")
        assert str(error.value) == (
            f"the bags in {tmp_path / 'bags'} count the interests of version v, expected w: run "
            "spark_jobs/build_interests.py bags again."
        )


def write_bags(folder: Path, lives, *, interests: str, files: int = 1, period_days: int = 30) -> None:
    """What build_interests.py leaves for the model."""
    (folder / "bags").mkdir(parents=True)
    rows = [
        {"user_id": u, "periods_ago": ago, "interests": sorted(bag), "counts": [bag[i] for i in sorted(bag)]}
        for u, life in lives.items()
        for ago, bag in sorted(life.items())
    ]
    kinds = {"user_id": pa.string(), "periods_ago": pa.int32()} | dict.fromkeys(
        ("interests", "counts"), pa.list_(pa.int32())
    )
    users = sorted({row["user_id"] for row in rows})
    for number, names in enumerate(np.array_split(users, files)):
        chosen = [row for row in rows if row["user_id"] in names]
        pq.write_table(pa.Table.from_pylist(chosen, pa.schema(kinds)), folder / "bags" / f"part-{number:05d}.parquet")
    manifest = {"interests": interests, "period_days": period_days, "ds": str(DS)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def anchors_by_hand(encoder: MultiAnchorEncoder, life: dict, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sum_n alpha(n, m) table[k] and sum_n alpha(n, m) of one user, in loops."""
    shape = encoder.shape
    gate = encoder.gate_KM.softmax(1).detach().numpy()
    share, ages = encoder.scale_SM.softmax(0).detach().numpy(), encoder.age_SAM.detach().numpy()
    pooled, mass = np.zeros((shape.anchors, table.shape[1])), np.zeros((shape.anchors, 1))
    for s, length in enumerate((*shape.scales, 10**6)):
        periods: dict = {}
        for ago, bag in life.items():
            for interest, count in bag.items():
                own = periods.setdefault(ago // length, {})
                own[interest] = own.get(interest, 0) + count
        for m in range(shape.anchors):
            weights = {p: math.exp(ages[s, min(int(math.log2(p * length + 1)), AGES - 1), m]) for p in periods}
            for p, bag in periods.items():
                size = math.sqrt(sum(math.log(1 + c) ** 2 for c in bag.values()))
                for k, count in bag.items():
                    alpha = share[s, m] * weights[p] * math.log(1 + count) / size * gate[k, m]
                    pooled[m] += alpha * table[k]
                    mass[m] += alpha
    return pooled, mass


class TestEncoder:
    SHAPE = Shape(anchors=3, width=4, scales=(1, 2))

    def test_anchors_are_the_formula(self):
        encoder = random_encoder(self.SHAPE, interests_of())

        actual = encoder(bags_of(LIVES)).detach().numpy()

        for user, life in enumerate(LIVES.values()):
            pooled, _ = anchors_by_hand(encoder, life, encoder.embedding_KD.detach().numpy())
            expected = [p @ w for p, w in zip(pooled, encoder.project_MDD.detach().numpy(), strict=True)]
            np.testing.assert_allclose(actual[user], expected, atol=1e-5)
        assert not actual[2].any() and actual.shape == (4, 3, 4)

    def test_in_text_space_an_anchor_is_a_weighted_mean_of_centroids_and_the_best_one_answers(self):
        interests = interests_of()
        encoder = random_encoder(self.SHAPE, interests)
        query = units(2, 6, seed=9)

        actual = encoder.in_text_space(bags_of(LIVES), interests)
        scores = best_anchor(actual, query)

        for user, life in enumerate(LIVES.values()):
            pooled, mass = anchors_by_hand(encoder, life, interests.centroid_KE.numpy())
            mean = pooled / mass if life else pooled
            np.testing.assert_allclose(actual[user].detach(), mean, atol=1e-5)
            by_hand = [max(float(a @ q) for a in mean) for q in query.numpy()]
            np.testing.assert_allclose(scores[user].detach(), by_hand, atol=1e-5)

    def test_a_sentence_about_one_of_many_interests_is_answered_as_if_it_were_the_only_one(self):
        """One mean vector forgets the rare interest, the best anchor does not."""
        interests = Interests(torch.zeros(8), torch.eye(8), "e")
        bags = bags_of({"many": {0: {k: 50 for k in range(7)} | {7: 1}}, "other": {0: {k: 50 for k in range(7)}}})
        scores = {}
        for anchors in (1, 8):
            encoder = MultiAnchorEncoder.untrained(Shape(anchors, 4, (1,)), interests, seed=0)
            found = encoder.in_text_space(bags, interests)
            scores[anchors] = best_anchor(found, torch.eye(8)[7:])[:, 0].tolist()

        assert scores[8][0] > 0.9 > 0.1 > scores[1][0] > scores[1][1] == pytest.approx(0)

    def test_users_do_not_see_each_other_and_old_periods_share_the_last_bucket(self):
        encoder = random_encoder(self.SHAPE, interests_of())
        bags = bags_of(LIVES)
        alone = torch.cat([encoder(bags.of_users(np.array([u]))) for u in range(4)])

        torch.testing.assert_close(encoder(bags), alone)
        assert age_buckets(np.array([0, 1, 2, 3, 4, 7, 8, 10**6])).tolist() == [0, 1, 1, 2, 2, 3, 3, AGES - 1]

    def test_gates_start_as_groups_of_interests_and_embeddings_keep_inner_products(self):
        encoder = MultiAnchorEncoder.untrained(Shape(3, 6, (1,)), interests_of(), seed=0)
        embedding = encoder.embedding_KD.detach()

        torch.testing.assert_close(embedding @ embedding.T, units(10, 6) @ units(10, 6).T, atol=1e-5, rtol=0)
        assert encoder.gate_KM.argmax(1).bincount(minlength=3).min() > 0

    def test_a_hundred_thousand_interests_cost_what_the_users_have(self):
        most, width = 100_000, 16
        random = np.random.default_rng(0)
        interests = Interests(torch.zeros(width), units(most, width), "e")
        lives = {f"u{u}": {p: {int(k): 1 for k in random.integers(0, most, 30)} for p in range(4)} for u in range(64)}
        encoder = MultiAnchorEncoder.untrained(Shape(4, 8), interests, seed=0)

        anchors = encoder(bags_of(lives))

        assert anchors.shape == (64, 4, 8) and anchors.isfinite().all()
        assert max(len(alpha) for _, _, alpha in encoder.coefficients(bags_of(lives))) <= 64 * 4 * 30

    def test_what_is_saved_is_loaded_and_what_does_not_fit_is_named(self, tmp_path):
        encoder, bags = random_encoder(self.SHAPE, interests_of()), bags_of(LIVES)
        folder = encoder.save(tmp_path)

        loaded = MultiAnchorEncoder.load(folder)

        assert loaded.version == encoder.version == folder.name and loaded.metadata == encoder.metadata
        assert torch.equal(loaded(bags), encoder(bags)) and encoder.save(tmp_path) == folder
        state = load_file(str(folder / WEIGHTS))
        save_file({n: t for n, t in state.items() if n != "gate_KM"}, str(folder / WEIGHTS))
        with pytest.raises(FoundError) as error:
            MultiAnchorEncoder.load(folder)
        assert str(error.value) == (
            f"{folder / WEIGHTS} does not fit its config: missing gate_KM. Train the encoder again."
        )
        save_file(state | {"more": torch.zeros(1), "scale_SM": torch.zeros(1, 1)}, str(folder / WEIGHTS))
        with pytest.raises(FoundError, match=r"unknown more; scale_SM has shape \[1, 1\] instead of \[3, 3\]\. Train"):
            MultiAnchorEncoder.load(folder)
        (folder / CONFIG).unlink()
        with pytest.raises(FoundError, match=r"no multi-anchor encoder in .*: run `python -m model\.lurm\.train`"):
            MultiAnchorEncoder.load(folder)

    @pytest.mark.parametrize(("wrong", "told"), [
        ({"anchors": 0}, "anchors must be at least 1, found 0."),
        ({"width": 0}, "width must be at least 1, found 0."),
        ({"scales": (1, 0)}, r"scales must be at least 1, found (1, 0)."),
        ({"scales": ()}, "scales must be at least 1, found ()."),
    ])  # fmt: skip
    def test_a_shape_is_checked(self, wrong, told):
        with pytest.raises(FoundError) as error:
            Shape(**wrong)
        assert str(error.value) == told

    @pytest.mark.parametrize("shape", [Shape(11, 4), Shape(3, 7)])
    def test_a_shape_larger_than_the_interests_is_refused(self, shape):
        with pytest.raises(FoundError) as error:
            MultiAnchorEncoder.untrained(shape, interests_of(), seed=0)
        assert str(error.value) == (
            f"{shape.anchors} anchors of width {shape.width} do not fit 10 interests of width 6: neither may be larger."
        )


class TestContrast:
    @pytest.mark.parametrize("users", [1, 2, 5])
    def test_nt_xent_is_the_formula(self, users):
        one, other = 2 * units(users, 3), 3 * units(users, 3, seed=1)
        views = [v / np.linalg.norm(v) for v in torch.cat([one, other]).numpy()]
        total = 0.0
        for i in range(2 * users):
            j = (i + users) % (2 * users)
            others = sum(math.exp(views[i] @ views[k] / 0.3) for k in range(2 * users) if k != i)
            total -= math.log(math.exp(views[i] @ views[j] / 0.3) / others)

        assert nt_xent(one, other, temperature=0.3).item() == pytest.approx(total / (2 * users), rel=1e-4, abs=1e-6)

    def test_equal_views_of_orthogonal_users_cost_little_and_of_equal_users_the_log(self):
        assert nt_xent(torch.eye(4), torch.eye(4), temperature=0.05).item() < 1e-6
        same = torch.ones(4, 3)
        assert nt_xent(same, same, temperature=0.1).item() == pytest.approx(math.log(7))

    def test_a_view_is_a_part_of_each_life_and_never_nothing(self):
        bags = population(0, users=50).bags
        life = lives_of(bags)
        views = [view(bags, np.random.default_rng(seed)) for seed in range(4)]

        for seen in views:
            for user, periods in lives_of(seen).items():
                assert periods and all(bag.items() <= life[user][ago].items() for ago, bag in periods.items())
        assert len({len(seen.user_N) for seen in views}) > 1
        again = view(bags, np.random.default_rng(0))
        np.testing.assert_array_equal(again.interest_N, views[0].interest_N)
        assert len(view(bags_of({"a": {}}), np.random.default_rng(0)).user_N) == 0

    def test_the_least_draw_of_each_group_is_kept(self):
        draws = np.array([0.9, 0.7, 0.8, 0.1, 0.6])

        assert kept(draws, np.array([0, 0, 1, 2, 2]), 0.5).tolist() == [False, True, True, True, False]


class TestTraining:
    def trained(self, seed: int = 0, steps: int = 40, shape: Shape = Shape(4, 8, (1, 2))) -> tuple:  # noqa: B008
        people = population(3, users=120)
        interests = fit(people.encoded_KE, clusters=100_000, seed=0, encoder="e")
        encoder = MultiAnchorEncoder.untrained(shape, interests, seed=seed)
        optimisation = Optimisation(steps, batch_users=32, learning_rate=3e-3, weight_decay=0.0, warmup_steps=1)
        return encoder, train_encoder(encoder, people.bags, optimisation=optimisation, seed=seed)

    def test_the_loss_falls_and_the_same_seed_gives_the_same_bits(self):
        (one, losses), (again, _), (other, _) = self.trained(), self.trained(), self.trained(seed=1)

        assert np.mean(losses[-5:]) < 0.7 * losses[0]
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name]), name
        assert not torch.equal(one.embedding_KD, other.embedding_KD)
        assert not torch.are_deterministic_algorithms_enabled()

    def test_one_user_alone_is_refused(self):
        encoder = MultiAnchorEncoder.untrained(Shape(2, 4), interests_of(), seed=0)

        with pytest.raises(FoundError) as error:
            train_encoder(encoder, bags_of({"a": {0: {1: 1}}, "b": {}}), optimisation=FEW_STEPS, seed=0)
        assert str(error.value) == "contrastive training needs at least 2 users with events, found 1."

    def test_a_loss_that_is_not_finite_is_refused_by_step(self):
        encoder = MultiAnchorEncoder.untrained(Shape(2, 4), interests_of(), seed=0)
        with torch.no_grad():
            encoder.embedding_KD[:] = torch.nan

        with pytest.raises(FoundError, match=r"the loss of step 0 is nan: lower the learning rate\."):
            train_encoder(encoder, bags_of(LIVES), optimisation=FEW_STEPS, seed=0)

    def test_from_bags_to_a_file_of_anchors(self, work):
        lives = {f"u{n}": {0: {n % 3: 2}, n % 4 + 1: {(n + 1) % 3: 1}} for n in range(12)}
        version = current_interests(work).name
        write_bags(work.interest_bags(DS), lives, interests=version, files=3)

        encoder = train_on(work, work.interest_bags(DS), shape=Shape(2, 4), optimisation=FEW_STEPS, seed=0)
        loaded = MultiAnchorEncoder.load(pointers.current(work.interest_encoder, missing=""))
        bags = open_bags(work.interest_bags(DS), interests=loaded.metadata["interests"])
        refuse_other_periods(loaded, bags)
        with torch.no_grad():
            users = write_anchors(work.interest_anchors(DS), bags, loaded, {"encoder": loaded.version})
            expected = encoder(bags.read()).flatten(1).numpy()

        table = pq.read_table(str(work.interest_anchors(DS)))
        assert loaded.metadata == {"interests": version, "period_days": 30, "ds": "2022-08-01", "seed": 0}
        assert users == 12 and table["user_id"].to_pylist() == list(bags.read().users)
        np.testing.assert_allclose(np.array(table["anchors"].to_pylist()), expected, atol=1e-6)
        assert table.schema.metadata[b"encoder"].decode() == encoder.version
        assert [p.name for p in work.interest_anchors(DS).parent.iterdir()] == ["ds=2022-08-01.parquet"]

    def test_bags_of_other_periods_are_refused(self, work, tmp_path):
        write_bags(tmp_path / "b", LIVES, interests="v", period_days=7)
        encoder = MultiAnchorEncoder.untrained(Shape(2, 4), interests_of(), seed=0)
        encoder.metadata["period_days"] = 30

        with pytest.raises(FoundError) as error:
            refuse_other_periods(encoder, open_bags(tmp_path / "b", interests="v"))
        assert str(error.value) == (
            f"the encoder was trained on periods of 30 days, the bags in {tmp_path / 'b'} have 7: run "
            "spark_jobs/build_interests.py bags --period-days 30."
        )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_linear_probes_read_from_the_anchors_what_the_raw_bag_holds_and_more_than_from_one_anchor(seed):
    people = population(seed)
    interests = fit(people.encoded_KE, clusters=100_000, seed=0, encoder="e")
    optimisation = Optimisation(steps=60, batch_users=128, learning_rate=1e-3, weight_decay=0.0, warmup_steps=5)
    found = {"raw": probe_auc(raw_bag(people.bags, len(interests)), people.happens_UL)}
    for anchors in (1, 8):
        encoder = MultiAnchorEncoder.untrained(Shape(anchors, 16, (1, 4)), interests, seed=seed)
        train_encoder(encoder, people.bags, optimisation=optimisation, seed=seed)
        with torch.no_grad():
            found[anchors] = probe_auc(encoder(people.bags).flatten(1).numpy(), people.happens_UL)

    assert found[8] > found["raw"] - 0.01, found
    assert found[8] > found[1] + 0.01, found
