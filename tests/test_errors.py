"""Every error of the serving layer has a stable code, a status, a hint, and a test that asserts its message."""

from pathlib import Path

import pytest

from feature_repo.contracts.errors import FoundError
from serving import errors
from serving.errors import ServingError

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServingError)]
TESTS = Path(__file__).parent


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_says_what_happened_and_what_to_do(kind):
    error = kind("expected this, found that.")

    assert isinstance(error, FoundError)
    assert error.detail == "expected this, found that."
    assert str(error) == f"expected this, found that. {kind.hint}"
    assert 400 <= kind.status < 600
    assert kind.hint.endswith(".")


def test_codes_are_stable_and_no_two_errors_share_one():
    assert sorted(kind.code for kind in ERRORS) == [
        "admin_disabled",
        "audience_too_large",
        "audience_too_small",
        "contradicting_seeds",
        "demand_too_long",
        "denied_filter_field",
        "empty_demand",
        "features_missing",
        "features_unreachable",
        "index_locked",
        "index_missing",
        "index_unreachable",
        "internal_error",
        "invalid_conditions",
        "invalid_filter",
        "invalid_request",
        "misconfigured",
        "model_missing",
        "no_seeds",
        "nothing_to_roll_back",
        "other_language",
        "publication_refused",
        "publication_unreadable",
        "server_refused",
        "unknown_filter_field",
        "unknown_users",
        "user_without_features",
        "versions_disagree",
    ]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_raised_in_a_test(kind):
    told = "".join(path.read_text() for path in TESTS.glob("test_*.py") if path.name != "test_errors.py")
    assert kind.__name__ in told or f'"{kind.code}"' in told
