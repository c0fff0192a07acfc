"""Every loss equals a double loop written from the paper, and padding, order and weights do what they say."""

import math

import pytest
import torch
import torch.nn.functional as F

from model.losses import (
    choice_loss,
    cpc_loss,
    cpc_loss_in_batch,
    cycle_loss,
    infonce_loss,
    mlm_loss,
    rtd_loss,
    sigmoid_loss,
    triplet_loss,
)

Rows = list[list[float]]
LENGTHS = (7, 1, 4, 0, 5)


def cosine(a: list[float], b: list[float]) -> float:
    def norm(x: list[float]) -> float:
        return math.sqrt(sum(v * v for v in x))

    return sum(x * y for x, y in zip(a, b, strict=True)) / (norm(a) * norm(b))


def softmax(x: list[float]) -> list[float]:
    total = sum(math.exp(v) for v in x)
    return [math.exp(v) / total for v in x]


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def cross_entropy(logits: list[float], target: int) -> float:
    return -math.log(softmax(logits)[target])


def cpc_by_the_paper(context: Rows, window: Rows, ahead: int) -> float:
    """Equation 6 of one user: terms past the end dropped, the denominator over all K windows."""
    count, total = len(window), 0.0
    for t in range(count):
        for i in range(1, ahead + 1):
            if t + i < count:
                shares = softmax([cosine(context[t], window[j]) for j in range(count)])
                total += math.log(shares[t + i])
    return -total / (count * ahead) if count else 0.0


def cpc_in_batch_by_the_paper(contexts: list[Rows], windows: list[Rows], ahead: int) -> list[float]:
    """Equation 6 of each user, with the windows of all users in the denominator."""
    everyone, each = [window for own in windows for window in own], []
    for context, window in zip(contexts, windows, strict=True):
        total = 0.0
        for t in range(len(window)):
            for i in range(1, ahead + 1):
                if t + i < len(window):
                    denominator = sum(math.exp(cosine(context[t], other)) for other in everyone)
                    total += math.log(math.exp(cosine(context[t], window[t + i])) / denominator)
        each.append(-total / (len(window) * ahead) if window else 0.0)
    return each


def cycle_by_the_paper(context: Rows, cycle: int) -> float:
    """KL(c_t || c_{t+T}) of one user, the mean over t."""
    divergences = []
    for t in range(len(context) - cycle):
        p, q = softmax(context[t]), softmax(context[t + cycle])
        divergences.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return sum(divergences) / len(divergences) if divergences else 0.0


def infonce_by_the_paper(user: Rows, text: Rows) -> float:
    """Equation 13."""
    total = 0.0
    for i in range(len(user)):
        shares = softmax([cosine(user[i], text[j]) for j in range(len(text))])
        total -= math.log(shares[i])
    return total / len(user)


def triplet_by_the_paper(query: list[float], positives: Rows, negatives: Rows, margin: float) -> float:
    """Equation 14 on unit vectors, where |a - b|^2 = 2 - 2 cos(a, b)."""
    total = 0.0
    for positive in positives:
        for negative in negatives:
            near, far = 2 - 2 * cosine(query, positive), 2 - 2 * cosine(query, negative)
            total += max(0.0, near - far + margin)
    return total


@pytest.fixture
def windows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Contexts, windows and which are real, of users with 7, 1, 4, 0 and 5 windows."""
    g = torch.Generator().manual_seed(3)
    is_window = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    shape = (len(LENGTHS), max(LENGTHS), 6)
    return torch.randn(shape, generator=g), torch.randn(shape, generator=g), is_window


@pytest.mark.parametrize("ahead", [1, 3, 9])
def test_cpc_equals_equation_6(windows, ahead):
    context, window, is_window = windows

    actual = cpc_loss(context, window, is_window, ahead=ahead).item()

    each = [cpc_by_the_paper(context[b, :n].tolist(), window[b, :n].tolist(), ahead) for b, n in enumerate(LENGTHS)]
    assert actual == pytest.approx(sum(each) / len(each), rel=1e-5)


@pytest.mark.parametrize("ahead", [1, 3, 9])
def test_cpc_in_batch_equals_equation_6_over_the_windows_of_all_users(windows, ahead):
    context, window, is_window = windows

    actual = cpc_loss_in_batch(context, window, is_window, ahead=ahead).item()

    real = [[x[b, :n].tolist() for b, n in enumerate(LENGTHS)] for x in (context, window)]
    each = cpc_in_batch_by_the_paper(*real, ahead)
    assert actual == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_alone_in_the_batch_a_user_has_only_their_own_negatives(windows):
    alone = [x[:1] for x in windows]

    torch.testing.assert_close(cpc_loss_in_batch(*alone, ahead=2), cpc_loss(*alone, ahead=2))


@pytest.mark.parametrize("cycle", [1, 2, 4])
def test_cycle_equals_equation_7(windows, cycle):
    context, _, is_window = windows

    actual = cycle_loss(context, is_window, cycle=cycle).item()

    each = [cycle_by_the_paper(context[b, :n].tolist(), cycle) for b, n in enumerate(LENGTHS)]
    assert actual == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_mlm_equals_equation_8_per_masked_cell():
    g = torch.Generator().manual_seed(1)
    logits = [torch.randn(4, size, generator=g) for size in (3, 5)]
    cells = torch.tensor([[0, 4], [2, 1], [1, 0], [0, 0]])
    masked = torch.tensor([[True, False], [True, True], [False, True], [False, False]])

    actual = mlm_loss(logits, cells, masked).item()

    each = []
    for b in range(4):
        own = [cross_entropy(logits[f][b].tolist(), int(cells[b, f])) for f in range(2) if masked[b, f]]
        each.append(sum(own) / len(own) if own else 0.0)
    assert actual == pytest.approx(sum(each) / 4, rel=1e-5)


def test_rtd_equals_binary_cross_entropy_of_every_cell():
    g = torch.Generator().manual_seed(2)
    verdict, replaced = torch.randn(3, 4, generator=g), torch.rand(3, 4, generator=g) < 0.5

    actual = rtd_loss(verdict, replaced).item()

    each = [-log_sigmoid(float(verdict[b, f]) * (1 if replaced[b, f] else -1)) for b in range(3) for f in range(4)]
    assert actual == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_sigmoid_equals_the_formula_of_every_user_and_sentence():
    g = torch.Generator().manual_seed(4)
    score, happens = 3 * torch.randn(5, 7, generator=g), torch.rand(5, 7, generator=g) < 0.3

    actual = sigmoid_loss(score, happens).item()

    each = [-log_sigmoid(float(score[b, c]) * (1 if happens[b, c] else -1)) for b in range(5) for c in range(7)]
    assert actual == pytest.approx(sum(each) / len(each), rel=1e-5)


@pytest.mark.parametrize("users", [1, 2, 9])
def test_infonce_equals_equation_13(users):
    g = torch.Generator().manual_seed(users)
    user, text = torch.randn(users, 6, generator=g), torch.randn(users, 6, generator=g)

    assert infonce_loss(user, text).item() == pytest.approx(
        infonce_by_the_paper(user.tolist(), text.tolist()), rel=1e-5, abs=1e-7
    )


def test_choice_equals_the_formula_and_ignores_what_all_scores_of_a_user_share():
    g = torch.Generator().manual_seed(4)
    score, happens = torch.randn(4, 6, generator=g), torch.rand(4, 6, generator=g) < 0.4
    happens[2] = False

    actual = choice_loss(score, happens).item()

    each = []
    for b in range(4):
        own = [cross_entropy(score[b].tolist(), c) for c in range(6) if happens[b, c]]
        each.append(sum(own) / len(own) if own else 0.0)
    assert actual == pytest.approx(sum(each) / 4, rel=1e-5)
    assert choice_loss(score + torch.randn(4, 1, generator=g), happens).item() == pytest.approx(actual, rel=1e-5)


@pytest.mark.parametrize("margin", [0.0, 0.5, 4.0])
def test_triplet_equals_equation_14(margin):
    g = torch.Generator().manual_seed(6)
    query, positives, negatives = (torch.randn(*shape, generator=g) for shape in ((5,), (3, 5), (4, 5)))

    actual = triplet_loss(query, positives, negatives, margin=margin).item()

    assert actual == pytest.approx(
        triplet_by_the_paper(query.tolist(), positives.tolist(), negatives.tolist(), margin), rel=1e-5
    )


@pytest.mark.parametrize("extra", [1, 5, 40])
def test_junk_in_padded_windows_changes_nothing(windows, extra):
    context, window, is_window = windows
    junk = torch.full((len(LENGTHS), extra, 6), 1e4)
    padded = F.pad(is_window, (0, extra))
    dirty = [torch.where(is_window[..., None], x, 1e4) for x in (context, window)]
    context_2, window_2 = (torch.cat([x, junk], 1) for x in dirty)

    for loss in (cpc_loss, cpc_loss_in_batch):
        torch.testing.assert_close(
            loss(context_2, window_2, padded, ahead=3), loss(context, window, is_window, ahead=3)
        )
    torch.testing.assert_close(cycle_loss(context_2, padded, cycle=2), cycle_loss(context, is_window, cycle=2))


def test_padding_gets_no_gradient(windows):
    context, window, is_window = windows
    context.requires_grad_(True)

    forecast = cpc_loss(context, window, is_window, ahead=3) + cpc_loss_in_batch(context, window, is_window, ahead=3)
    (forecast + cycle_loss(context, is_window, cycle=2)).backward()

    assert torch.isfinite(context.grad).all()
    assert not context.grad[~is_window].any() and context.grad[0].any()


def test_the_order_of_users_changes_nothing(windows):
    context, window, is_window = windows
    order = torch.tensor([3, 0, 4, 2, 1])
    g = torch.Generator().manual_seed(0)
    score, happens = torch.randn(5, 7, generator=g), torch.rand(5, 7, generator=g) < 0.3

    for loss in (
        lambda i: cpc_loss(context[i], window[i], is_window[i], ahead=2),
        lambda i: cpc_loss_in_batch(context[i], window[i], is_window[i], ahead=2),
        lambda i: cycle_loss(context[i], is_window[i], cycle=2),
        lambda i: sigmoid_loss(score[i], happens[i]),
        lambda i: choice_loss(score[i], happens[i]),
        lambda i: infonce_loss(context[i, 0], window[i, 0]),
        lambda i: rtd_loss(score[i], happens[i]),
        lambda i: mlm_loss([score[i]], is_window[i].sum(1, keepdim=True) % 7, happens[i, :1]),
    ):
        torch.testing.assert_close(loss(order), loss(torch.arange(5)))


def test_a_user_of_weight_zero_is_as_if_absent(windows):
    context, window, is_window = windows
    kept, weight = torch.tensor([0, 2, 4]), torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    g = torch.Generator().manual_seed(0)
    score, happens = torch.randn(5, 7, generator=g), torch.rand(5, 7, generator=g) < 0.5
    cells = torch.arange(5)[:, None] % 7

    for loss in (
        lambda i, w: cpc_loss(context[i], window[i], is_window[i], ahead=2, weight_B=w),
        lambda i, w: cpc_loss_in_batch(context[i], window[i], is_window[i], ahead=2, weight_B=w),
        lambda i, w: cycle_loss(context[i], is_window[i], cycle=2, weight_B=w),
        lambda i, w: sigmoid_loss(score[i], happens[i], w),
        lambda i, w: choice_loss(score[i], happens[i], w),
        lambda i, w: rtd_loss(score[i], happens[i], w),
        lambda i, w: mlm_loss([score[i]], cells[i], happens[i, :1], w),
    ):
        torch.testing.assert_close(loss(torch.arange(5), weight), loss(kept, None))
        assert loss(torch.arange(5), torch.zeros(5)).item() == 0.0


@pytest.mark.parametrize("users", [2, 10])
def test_uninformed_scores_cost_what_ignorance_costs(users):
    equal = torch.ones(users, 4)

    assert infonce_loss(equal, equal).item() == pytest.approx(math.log(users), rel=1e-5)
    assert sigmoid_loss(torch.zeros(users, 3), torch.rand(users, 3) < 0.5).item() == pytest.approx(math.log(2))
    assert choice_loss(torch.zeros(users, 3), torch.eye(3)[:1].expand(users, 3)).item() == pytest.approx(math.log(3))
    assert rtd_loss(torch.zeros(users, 3), torch.rand(users, 3) < 0.5).item() == pytest.approx(math.log(2))
    masked = torch.ones(users, 1, dtype=torch.bool)
    assert mlm_loss([torch.zeros(users, 8)], torch.zeros(users, 1, dtype=torch.long), masked).item() == pytest.approx(
        math.log(8)
    )


def test_equal_contexts_cost_no_cycle_and_others_do():
    is_window = torch.ones(2, 5, dtype=torch.bool)
    same = torch.randn(2, 1, 4).expand(-1, 5, -1)

    assert cycle_loss(same, is_window, cycle=2).item() == pytest.approx(0.0, abs=1e-6)
    assert cycle_loss(torch.eye(5)[None], is_window[:1], cycle=2).item() > 0.1


def test_equal_windows_cost_log_k_per_term():
    windows, ahead = 6, 2
    terms = (windows - 1) + (windows - 2)
    same, real = torch.ones(3, windows, 4), torch.ones(3, windows, dtype=torch.bool)

    assert cpc_loss(same, same, real, ahead=ahead).item() == pytest.approx(
        terms * math.log(windows) / (windows * ahead), rel=1e-5
    )


def test_users_too_short_for_a_pair_of_windows_cost_nothing():
    context, one = torch.randn(2, 6, 4), torch.arange(6)[None].expand(2, -1) < 1

    assert cpc_loss(context, context, one, ahead=3).item() == pytest.approx(0.0, abs=1e-6)
    assert cpc_loss_in_batch(context, context, one, ahead=3).item() == 0.0
    assert cycle_loss(context, one, cycle=2).item() == 0.0
