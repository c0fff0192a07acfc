"""Settings: where they come from, and what is refused."""

from pathlib import Path

import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings, read_settings, typed
from feature_repo.contracts.user_lists import read_user_list


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "found.toml").write_text(text)
    return tmp_path


def test_the_environment_is_above_the_file_and_arguments_are_above_both(tmp_path):
    cwd = written(tmp_path, 'lake = "a"\nworkdir = "w"\nhorizon_days = 30\n')

    settings = read_settings({"FOUND_LAKE": "b", "FOUND_HORIZON_DAYS": " 60 "}, cwd)

    assert (settings.lake, settings.workdir, settings.horizon_days) == ("b", "w", 60)
    assert settings.with_arguments({"lake": "c", "workdir": None, "size": 5}).lake == "c"
    assert read_settings(settings.environment(), Path("/nowhere")) == settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lake = ", r"found\.toml is not valid TOML"),
        ("lakes = 'a'", r"has unknown settings \['lakes'\]; known are \['admin_key',"),
        ("horizon_days = 'x'", "horizon_days must be a whole number of 0 or more, found 'x'"),
        ("memory_mb = -5", "memory_mb must be a whole number of 0 or more, found -5"),
        ("horizon_days = 30.9", r"horizon_days must be text .* or a number, found 30\.9"),
        ("port = true", "port must be text .* or a number, found True"),
        ("export_hosts = ['a', 'b']", r"export_hosts must be text \(several values with commas between\)"),
    ],
)
def test_what_is_no_setting_is_refused(tmp_path, text, told):
    with pytest.raises(FoundError, match=told):
        read_settings({}, written(tmp_path, text))


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(FoundError, match=r"the settings file .*gone\.toml named by FOUND_SETTINGS does not exist"):
        read_settings({"FOUND_SETTINGS": str(tmp_path / "gone.toml")}, tmp_path)
    (tmp_path / "found.toml").write_bytes(b"lake = '\xff'")
    with pytest.raises(FoundError, match=r"found\.toml is not valid TOML"):
        read_settings({}, tmp_path)


def test_a_setting_that_is_needed_is_named_with_all_ways_to_set_it():
    with pytest.raises(FoundError, match=r"missing settings: lake\. Give --lake or FOUND_LAKE; or write them in found"):
        Settings(workdir="w").require("lake", "workdir")


def test_numbers_are_text_where_text_is_meant():
    assert (typed("admin_key", 1234), typed("port", "8080"), typed("port", 0)) == ("1234", 8080, 0)


def test_a_list_of_users_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "users.txt").write_bytes("\ufeffanna\r\n\r\n bert \r\n".encode())
    assert read_user_list(tmp_path / "users.txt") == ("anna", "bert")
    (tmp_path / "users.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FoundError, match=r"users\.txt must be a text file with one user id a line"):
        read_user_list(tmp_path / "users.txt")
