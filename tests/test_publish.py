"""Publication into a real Milvus Lite: only the change of a night, a new model behind the alias, refusals."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving_doubles import DAY, embedded, user_name, user_vector, write_embeddings, write_profile

from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import text_key
from feature_repo.embedding_days import chosen_day
from serving import publish as publication
from serving.errors import NothingToRollBack, PublicationRefused
from serving.expressions import EVERYBODY, among
from serving.index import UserIndex, open_index
from serving.publish import publish, rollback

NEXT = DAY + timedelta(days=1)
USERS = 60


@pytest.fixture
def work(tmp_path):
    work = Workdir(tmp_path)
    work.models.mkdir()
    return work


@pytest.fixture
def index(work):
    with open_index(Settings(workdir=str(work.root))) as index:
        yield index


@pytest.fixture
def published(index, work):
    write_embeddings(work, DAY, embedded(USERS))
    publish(index, work, DAY)
    return index


def contents(index: UserIndex) -> dict[str, tuple[str, bytes]]:
    name = index.published().collection
    hashes = {user: found for user, (found, _) in index.hashes(name).items()}
    vectors = index.vectors(name, list(hashes))
    return {user: (found, vectors[user].tobytes()) for user, found in hashes.items()}


def expected(rows) -> dict[str, tuple[str, bytes]]:
    return {user: (found, vector.tobytes()) for user, (vector, found) in rows.items()}


def test_the_first_publication_holds_every_user_with_the_days_ds(published):
    assert contents(published) == expected(embedded(USERS))
    assert published.published().ds == DAY.isoformat()
    assert published.count("users_v1") == USERS


def test_only_users_whose_input_changed_are_written_and_users_gone_are_deleted(published, work, monkeypatch):
    night = embedded(USERS + 2)
    night[user_name(3)] = (user_vector(4), "another-hash")
    del night[user_name(5)]
    write_embeddings(work, NEXT, night)
    upserted = []
    upsert = UserIndex.upsert
    monkeypatch.setattr(
        UserIndex, "upsert", lambda self, name, rows: upsert(self, name, (upserted.append(r) or r for r in rows))
    )

    done = publish(published, work, NEXT)

    assert [row.user_id for row in upserted] == [user_name(at) for at in (3, USERS, USERS + 1)]
    assert (done.written, done.deleted, done.users, done.swapped_from) == (3, 1, USERS + 1, "")
    assert contents(published) == expected(night)
    assert published.published().ds == NEXT.isoformat()


def test_publishing_a_day_again_leaves_the_same_state_and_writes_nothing(published, work):
    before, stamped = contents(published), published.published()

    done = publish(published, work, DAY)

    assert (done.written, done.deleted) == (0, 0)
    assert (contents(published), published.published()) == (before, stamped)


def test_a_new_model_gets_a_fresh_collection_and_the_replaced_one_is_kept(published, work):
    write_embeddings(work, NEXT, {u: (v * 2, h) for u, (v, h) in embedded(USERS).items()}, version="v2")

    done = publish(published, work, NEXT)

    assert (done.collection, done.swapped_from, done.written) == ("users_v2", "users_v1", USERS)
    assert published.published().previous == "users_v1"
    assert published.collections() == ["users_v1", "users_v2"]
    assert published.count("users_v1") == USERS


def test_only_the_collection_that_was_replaced_last_is_kept(published, work):
    for at, version in enumerate(("v2", "v3")):
        day = NEXT + timedelta(days=at)
        write_embeddings(work, day, embedded(USERS), version=version)
        publish(published, work, day)

    assert published.collections() == ["users_v2", "users_v3"]


def test_the_previous_collection_survives_the_nights_after_a_new_model(published, work):
    write_embeddings(work, NEXT, embedded(USERS), version="v2")
    publish(published, work, NEXT)
    write_embeddings(work, NEXT + timedelta(days=1), embedded(USERS), version="v2")

    publish(published, work, NEXT + timedelta(days=1))

    assert published.collections() == ["users_v1", "users_v2"]


def test_a_publication_that_was_killed_half_way_is_repaired_by_the_next(published, work, monkeypatch):
    write_embeddings(work, NEXT, embedded(USERS), version="v2")
    upsert = UserIndex.upsert

    def killed(self, name, rows):
        upsert(self, name, list(rows)[: USERS // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(UserIndex, "upsert", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(published, work, NEXT)
    assert published.published().collection == "users_v1"
    monkeypatch.undo()

    done = publish(published, work, NEXT)

    assert done.written == USERS - USERS // 2
    assert published.published().collection == "users_v2"
    assert contents(published) == expected(embedded(USERS))


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"u000": (np.full(17, np.nan, np.float32), "x")}, "must be finite numbers, that of user 'u000' is not"),
        ({"u000": (np.ones(5, np.float32), "x")}, r"must have one length, found lengths \[5, 17\]"),
        ({"u000": (np.zeros(17, np.float32), "x")}, "must be more than zeros, that of user 'u000' is not"),
        ({"": (user_vector(0), "x")}, "a user_id must have 1 to 256 bytes, found ''"),
    ],
)
def test_bad_embeddings_are_refused_and_nothing_is_touched(published, work, broken, told):
    before, stamped = contents(published), published.published()
    write_embeddings(work, NEXT, embedded(USERS) | broken)

    with pytest.raises(PublicationRefused, match=told):
        publish(published, work, NEXT)

    assert (contents(published), published.published()) == (before, stamped)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("text_weights", [0.5, 0.5], "user 'u000' has 2 and 1"),
        ("text_keys", None, "user 'u000' has 1 and None"),
        ("text_keys", list(range(5000)), "at most 4096; user 'u000' has 1 and 5000"),
    ],
)
def test_texts_without_their_weights_are_refused(published, work, column, value, told):
    write_embeddings(work, NEXT, embedded(USERS), weights={"u000": 1.0})
    path = work.partition("embedding", NEXT) / "part-00000.parquet"
    table = pq.read_table(path)
    values = [value, *table[column].to_pylist()[1:]]
    changed = pa.array(values, table.schema.field(column).type)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, changed), path)

    with pytest.raises(PublicationRefused, match=f"as many text weights as text keys, .*{told}"):
        publish(published, work, NEXT)


def test_the_texts_of_a_user_are_in_the_index(published, work):
    write_embeddings(work, NEXT, embedded(USERS) | {"u003": (user_vector(3), "new")}, weights={"u003": 0.25})

    publish(published, work, NEXT)

    columns = ["user_id", "text_keys", "text_weights"]
    rows = published.read("users_v1", among(["u003", "u004", "nobody"]), columns)
    assert {row["user_id"]: (list(row["text_keys"]), list(row["text_weights"])) for row in rows} == {
        "u003": ([text_key("tea")], [0.25]),
        "u004": ([], []),
    }


def test_a_user_who_occurs_twice_is_named(published, work):
    write_embeddings(work, NEXT, embedded(USERS))
    partition = work.partition("embedding", NEXT)
    (partition / "part-00001.parquet").write_bytes((partition / "part-00000.parquet").read_bytes())

    with pytest.raises(PublicationRefused, match="every user must occur once, 'u000' occurs twice"):
        publish(published, work, NEXT)


def test_embeddings_of_two_models_in_one_day_are_refused(published, work):
    write_embeddings(work, DAY, embedded(5), version="v2")
    second = (work.partition("embedding", DAY) / "part-00000.parquet").read_bytes()
    write_embeddings(work, NEXT, {u: r for u, r in embedded(USERS).items() if u > user_name(5)})
    (work.partition("embedding", NEXT) / "part-00001.parquet").write_bytes(second)

    with pytest.raises(PublicationRefused, match=r"must come from one model, found \['v1', 'v2'\]"):
        publish(published, work, NEXT)


def test_a_day_without_embeddings_is_named(published, work):
    with pytest.raises(PublicationRefused, match="there are no embeddings of 2031-01-01") as caught:
        publish(published, work, date(2031, 1, 1))
    assert "The alias was left untouched" in str(caught.value)


def test_a_day_with_no_user_is_refused(published, work):
    write_embeddings(work, NEXT, {})

    with pytest.raises(PublicationRefused, match="the embeddings of 2024-06-02 are empty"):
        publish(published, work, NEXT)


def test_a_model_of_another_width_needs_another_version(published, work):
    write_embeddings(work, NEXT, {user_name(at): (np.ones(5, np.float32), "x") for at in range(USERS)})

    with pytest.raises(PublicationRefused, match="users_v1 holds vectors of 17 numbers, those of 2024-06-02 have 5"):
        publish(published, work, NEXT)


@pytest.mark.parametrize(
    ("method", "broken", "told"),
    [
        ("count", lambda *_: 1, "users_v2 must hold 60 users, Milvus counts 1"),
        ("vectors", lambda *_: {}, "users_v2 does not hold the vector of user 'u000' as it was embedded"),
        (
            "search",
            lambda *_: [publication_hit()],
            "users_v2 answers the vector of user 'u000' with 'nobody' at -1, below the user's own",
        ),
    ],
)
def test_a_new_collection_that_fails_a_check_leaves_the_alias_untouched(
    published, work, monkeypatch, method, broken, told
):
    before, stamped = contents(published), published.published()
    write_embeddings(work, NEXT, embedded(USERS), version="v2")
    monkeypatch.setattr(UserIndex, method, broken)

    with pytest.raises(PublicationRefused, match=told):
        publish(published, work, NEXT)

    monkeypatch.undo()
    assert (contents(published), published.published()) == (before, stamped)


def publication_hit():
    from serving.rows import Hit

    return Hit("nobody", -1.0)


def test_a_rollback_serves_the_previous_collection_and_its_model(published, work):
    write_embeddings(work, NEXT, embedded(USERS), version="v2")
    publish(published, work, NEXT)

    rollback(published, work)

    assert published.published().collection == "users_v1"
    assert published.published().ds == DAY.isoformat()
    assert work.current_model.read_text() == "v1"


def test_a_rollback_to_what_cannot_answer_is_refused(published, work, monkeypatch):
    write_embeddings(work, NEXT, embedded(USERS), version="v2")
    publish(published, work, NEXT)

    with monkeypatch.context() as patch, pytest.raises(NothingToRollBack, match="users_v1 was made with templates of"):
        patch.setattr(publication, "TEMPLATE_VERSION", 999)
        rollback(published, work)
    (work.models / "v1").rename(work.root / "elsewhere")
    with pytest.raises(NothingToRollBack, match=r"the model of users_v1 is gone: .*models has no such folder"):
        rollback(published, work)

    assert published.published().collection == "users_v2"
    (work.root / "elsewhere").rename(work.models / "v1")
    assert rollback(published, work).collection == "users_v1"


def test_the_day_that_the_index_answers_by_is_the_day_of_the_work_directory(published, work):
    write_embeddings(work, NEXT, backwards(embedded(USERS)))
    with pytest.raises(PublicationRefused):
        publish(published, work, NEXT)
    assert chosen_day(work, None).ds == DAY, "a day that was refused is not exported"

    publish(published, work, NEXT, force=True)
    assert (chosen_day(work, None).ds, chosen_day(work, DAY).ds) == (NEXT, DAY)

    later = NEXT + timedelta(days=1)
    write_embeddings(work, later, embedded(USERS), version="v2")
    publish(published, work, later)
    assert chosen_day(work, None).ds == later
    rollback(published, work)
    assert chosen_day(work, None).ds == NEXT


def test_a_column_that_is_denied_later_is_forgotten_by_the_next_publication(index, work):
    write_embeddings(work, DAY, embedded(USERS))
    write_profile(
        work, DAY, {"age": [float(at) for at in range(USERS)], "income": [1_000.0 + at for at in range(USERS)]}
    )
    publish(index, work, DAY)
    write_embeddings(work, NEXT, embedded(USERS))
    write_profile(work, NEXT, {"age": [float(at) for at in range(USERS)], "income": [1_000.0] * USERS})

    done = publish(index, work, NEXT, denied=["Income"])

    columns = {column.name: column.stored for column in index.published().columns}
    rows = index.read("users_v1", EVERYBODY, ["user_id", columns["age"], columns["income"]])
    assert done.written == USERS and len(rows) == USERS
    assert {row[columns["income"]] for row in rows} == {None}
    assert {row[columns["age"]] for row in rows} == {float(at) for at in range(USERS)}
    assert publish(index, work, NEXT, denied=["Income"]).written == 0


def test_a_rollback_without_a_previous_collection_is_refused(index, work):
    with pytest.raises(NothingToRollBack, match="nothing was published yet"):
        rollback(index, work)
    write_embeddings(work, DAY, embedded(USERS))
    publish(index, work, DAY)
    with pytest.raises(NothingToRollBack, match="no previous collection is kept beside users_v1"):
        rollback(index, work)


def test_the_command_publishes_prints_what_it_did_and_rolls_back(work, monkeypatch, capsys):
    monkeypatch.setenv("FOUND_WORKDIR", str(work.root))
    write_embeddings(work, DAY, embedded(USERS))
    write_embeddings(work, NEXT, embedded(USERS), version="v2")

    assert publication.main(["--ds", DAY.isoformat()]) == 0
    assert capsys.readouterr().out == "users_v1 holds 60 users as of 2024-06-01: 60 written, 0 deleted\n"
    assert publication.main(["--ds", DAY.isoformat()]) == 0
    assert capsys.readouterr().out == "users_v1 holds 60 users as of 2024-06-01: 0 written, 0 deleted\n"
    assert publication.main(["--ds", NEXT.isoformat()]) == 0
    assert "alias 'users' moved from users_v1" in capsys.readouterr().out
    assert publication.main(["--rollback"]) == 0
    assert capsys.readouterr().out == "users_v1 is served again\n"


def test_the_command_reports_a_refusal_in_one_line_and_exits_with_2(work, monkeypatch, capsys):
    monkeypatch.setenv("FOUND_WORKDIR", str(work.root))

    assert publication.main(["--ds", "2024-06-01"]) == 2

    told = capsys.readouterr().err
    assert told.startswith("error: there are no embeddings of 2024-06-01") and told.count("\n") == 1


def mixed_up(day: dict) -> dict:
    """Everybody has somebody else's vector."""
    users = list(day)
    return {user: (day[other][0], day[user][1] + "!") for user, other in zip(users, users[1:] + users[:1], strict=True)}


def collapsed(day: dict) -> dict:
    """Everybody has the same vector."""
    (first, _), *_ = day.values()
    return {user: (first, digest + "!") for user, (_, digest) in day.items()}


def backwards(day: dict) -> dict:
    return {user: (-vector, digest + "!") for user, (vector, digest) in day.items()}


@pytest.mark.parametrize(
    ("night", "told"),
    [
        (embedded(USERS // 2 - 1), r"have 29 users, users_v1 in service has 60: .* publish with --force"),
        (backwards(embedded(USERS)), r"the median cosine to what they have there is -1\.00, expected 0\.8 or more"),
        (collapsed(embedded(USERS)), r"the median cosine to what they have there is 0\.00, expected 0\.8 or more"),
        (mixed_up(embedded(USERS)), "the vectors of 2024-06-02 are not those of the same model: of 60 users"),
    ],
)
def test_a_night_unlike_the_last_is_refused_before_anything_is_written(published, work, night, told):
    before, stamped = contents(published), published.published()
    write_embeddings(work, NEXT, night)

    with pytest.raises(PublicationRefused, match=told):
        publish(published, work, NEXT)

    assert (contents(published), published.published()) == (before, stamped)
    publish(published, work, NEXT, force=True)
    assert contents(published) == expected(night)


def test_another_model_may_see_users_otherwise_but_not_lose_half_of_them(published, work):
    write_embeddings(work, NEXT, backwards(embedded(USERS // 3)), version="v2")
    with pytest.raises(PublicationRefused, match="have 20 users"):
        publish(published, work, NEXT)

    write_embeddings(work, NEXT, backwards(embedded(USERS)), version="v2")
    assert publish(published, work, NEXT).collection == "users_v2"


def test_an_older_day_is_left_out_whatever_the_order_of_a_backfill(published, work):
    write_embeddings(work, NEXT, embedded(USERS + 1))
    publish(published, work, NEXT)
    before, stamped = contents(published), published.published()

    done = publish(published, work, DAY)

    assert "2024-06-01 is older and was left out" in str(done) and done.ds == NEXT.isoformat()
    assert (contents(published), published.published()) == (before, stamped)
    assert publish(published, work, DAY, force=True).ds == DAY.isoformat()
    assert contents(published) == expected(embedded(USERS))


def test_a_bad_night_that_was_written_says_how_to_go_back(published, work, monkeypatch):
    write_embeddings(work, NEXT, embedded(USERS + 1))
    monkeypatch.setattr(publication, "_check", lambda *_: refuse())

    with pytest.raises(PublicationRefused, match="in service already: publish 2024-06-01 again with --force"):
        publish(published, work, NEXT)


def refuse():
    raise PublicationRefused("broken.")
