"""What an export is asked: the sentence as the service reads it, and exactly the users whom the service would choose
from, found in the day's tables alone."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from audience_doubles import USERS, open_desk, published
from serving_doubles import DAY, WordModel, user_name

from serving.cli import main
from serving.errors import EmptyDemand, UnknownFilterField
from serving.export import read_order, write_users
from serving.filters import AnyOf, Filter
from serving.question import Asked, Question

OLD = Filter("age", ">", 40)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    made = published(tmp_path_factory.mktemp("work"))
    (made.work.models / "v1").mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture(scope="module")
def desk(settings):
    desk = open_desk(settings)
    yield desk
    desk.close()


@pytest.fixture(autouse=True)
def model(monkeypatch):
    monkeypatch.setattr("serving.export.load_found_model", lambda folder: WordModel("v1"))


@pytest.mark.parametrize(
    "question",
    [
        Question("picnic"),
        Question("picnic", filters=(OLD,)),
        Question("picnic", filters=(AnyOf((OLD, Filter("age", "=", 20))), Filter("age", "!=", 50))),
        Question("picnic", exclude_users=(user_name(3), "nobody")),
        Question("customers who bought a garden plant"),
        Question("customers who never bought a cake stand or a lunch bag and will buy a picnic basket"),
        Question("customers who bought a garden plant in the last 10 days and will not buy a picnic basket"),
        Question("customers over 30 who did not buy a lunch bag in the last 5 days"),
        Question("customers who will buy a garden plant or search for a cake stand"),
        Question("picnic", filters=(Filter("age", ">", 1_000),)),
    ],
    ids=str,
)
def test_those_who_may_be_exported_are_those_whom_the_service_chooses_from(settings, desk, question):
    order = read_order(settings, question, None)

    found = desk.target(question, size=USERS)
    everybody = {user_name(at) for at in range(USERS)}
    among = everybody if order.among is None else set(order.among)
    assert order.ds == DAY and among == {user.user_id for user in found.users}
    assert order.sentences == found.rewritten.sentences
    assert order.among is None or len(order.among) < USERS


def test_filters_for_every_audience_and_suppressed_users_are_left_out(settings, tmp_path):
    (tmp_path / "stop").write_text(f"{user_name(30)}\n")
    guarded = replace(settings, default_filters="age > 40", suppressed_users=str(tmp_path / "stop"))

    order = read_order(guarded, Question("picnic"), None)

    assert set(order.among) == {user_name(at) for at in range(21, USERS)} - {user_name(30)}
    assert "  within: age > 40" in order.told and f"  {len(order.among)} users are within these limits" in order.told


def test_what_was_read_is_told_apart_from_what_limits(settings):
    said = "customers over 30 who never bought a cake stand and will buy a picnic basket"

    told = read_order(settings, Question(said, filters=(OLD,)), None).told

    read, within = ([line for line in told if line.startswith(f"  {what}: ")] for what in ("read as", "within"))
    coming = "will have to do with 'picnic basket'"
    assert len(read) == 3 and f"  read as: {coming}" in read
    assert len(within) == 3 and within[:2] == [f"  within: {OLD}", "  within: age > 30"]
    assert "cake stand" in within[2] and not any("picnic" in line for line in within)


def test_as_written_nothing_of_the_sentence_is_a_rule(settings):
    said = "picnic fans who never bought a cake stand"

    order = read_order(settings, Question(said), None, as_written=True)

    assert (order.sentences, order.among) == ((Asked(said),), None)
    assert read_order(settings, Question(said, filters=(OLD,)), None, as_written=True).among is not None


def test_what_no_question_may_ask_no_export_may(settings):
    with pytest.raises(EmptyDemand):
        read_order(settings, Question(" "), None)
    with pytest.raises(UnknownFilterField):
        read_order(settings, Question("picnic", filters=(Filter("wage", ">", 1),)), None)


def test_the_command_hands_a_spark_job_the_sentence_and_who_is_left(settings, monkeypatch, capsys):
    ran = []

    def run(argv, environ):
        (folder,) = [word.removeprefix("--among=") for word in argv if word.startswith("--among=")] or [None]
        users = pq.read_table(folder)["user_id"].to_pylist() if folder else None
        ran.append((argv[2:], users, environ["FOUND_WORKDIR"]))
        return 0

    monkeypatch.setattr("serving.processes.run_in_foreground", run)
    command = ["export", "--out", "a.csv", "--size", "20000", "--workdir", settings.workdir]

    assert main([*command, "--", "picnic"]) == 0
    assert main([*command, "--filter", "age > 57", "--exclude", user_name(39), "--", "picnic"]) == 0

    said = '[{"text": "picnic", "negated": false, "joined": "and"}]'
    asked = [f"--sentences={said}", "--out=a.csv", f"--ds={DAY}", "--size=20000"]
    assert ran[0] == (asked, None, settings.workdir)
    assert (ran[1][0][:-1], ran[1][1]) == (asked, [user_name(38)])
    assert "scored by: 'picnic'" in capsys.readouterr().out
    assert not list(settings.work.root.glob(".among-*")), "nothing is left behind"


def test_no_users_are_a_table_too(tmp_path):
    write_users([], tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").schema.field("user_id").type == "string"
