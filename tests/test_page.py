"""The page in a browser: real keys and clicks, against the app with forty published users (see page_server)."""

import csv
import io
import json
import time
import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audience_doubles import NOW, USERS, made, new, published
from browser import Page, downloaded
from page_server import answering, page  # noqa: F401
from receiver import Receiver
from serving_doubles import WordModel, user_name

from feature_repo.contracts.settings import Settings
from serving.access.keys import Keys
from serving.audiences.database import Database
from serving.audiences.store import AudienceStore
from serving.desk import Desk
from serving.page.files import FOLDER, HEADERS

PICNIC = "a picnic basket"
VIEWS = ("#/ask", "#/seeds", "#/saved")
MARKUP = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return published(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def url(settings):
    with answering(settings) as url:
        yield url


@pytest.fixture
def tab(page, url, monkeypatch) -> Page:  # noqa: F811
    """The page, opened anew; nothing that it complains of goes unseen."""
    page.look(1280)
    page.open("about:blank")
    page.requests.clear()
    page.complaints.clear()
    page.open(url)
    page.see("This lake suggests")
    yield page
    assert page.complaints == []
    assert all(each.startswith((url, "data:", "about:", "blob:" + url)) for each in page.requests), page.requests
    assert "[object" not in page.text() and "undefined" not in page.text() and "NaN" not in page.text()


def asked(url: str, path: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def ask(tab: Page, demand: str = PICNIC) -> None:
    tab.write("#demand", demand)
    tab.press("Enter")
    tab.wait(f"document.querySelector('.told')?.innerText && !document.body.classList.contains('busy') && {demand!r}")


def add_filter(tab: Page, column: str, value: str) -> None:
    """`column >= value`, as one adds it by hand."""
    tab.click(".add summary")
    tab.run(
        f"(() => {{ const s = document.querySelector('.add select'); s.value = {column!r};"
        "s.dispatchEvent(new Event('change')); })()"
    )
    tab.write(".add input", value)
    tab.press("Enter")


def size_of(tab: Page) -> int:
    return int(tab.run("document.querySelector('#size').value"))


def go(tab: Page, view: str) -> None:
    tab.run(f"location.hash = {view!r}")


def test_from_a_sentence_over_preview_and_slider_to_an_export(tab, url, tmp_path):
    tab.downloads(tmp_path)
    ask(tab)
    curve = asked(url, "v1/audiences:preview", {"demand": PICNIC, "size": 1000})["curve"]
    assert f"Of the likeliest {USERS} users, about {curve[-1]['expected']:.0f} will within 30 days." in tab.text(
        ".told"
    )

    tab.focus("#size-slider")
    tab.press("ArrowLeft", times=USERS - 12)

    point = curve[11]
    told = tab.see("Of the likeliest 12 users", ".told")
    assert f"about {point['expected']:.0f} will" in told and f"between {point['low']} and {point['high']}" in told
    assert tab.run("document.querySelector('.marker text').textContent") == "top 12" and size_of(tab) == 12
    assert float(tab.run("document.querySelector('#least').value")) == pytest.approx(
        100 * point["probability"], rel=0.01
    )
    first = tab.text(".people tbody tr")
    assert "picnic basket" in first and user_name(20) in tab.text(".people")

    tab.write("#save-name", "Picnic, June")
    tab.press("Enter")
    tab.see("The promise")
    assert tab.text("h1:not([hidden] *)") or tab.see("Picnic, June", "#audience-title")
    assert f"Of 12 users, about {point['expected']:.0f} will within 30 days." in tab.text("#audience")
    tab.see("once", "#audience .people")
    assert not tab.run("document.querySelector('#export-url')"), "this server sends no exports"
    tab.click("#audience .actions button")
    file = downloaded(tmp_path)
    members = list(csv.DictReader(io.StringIO(file.read_text())))
    with urllib.request.urlopen(f"{url}v1/audiences/{file.stem}/members?format=csv") as answer:
        assert file.read_bytes() == answer.read()
    assert len(members) == 12 and float(members[-1]["probability"]) == pytest.approx(point["probability"])


def test_a_preview_comes_while_one_types_and_the_next_key_cancels_the_last(tab):
    tab.focus("#demand")
    for letter in "a garden plant":
        tab.type(letter)
    tab.see("garden plant", ".people")

    previews = [each for each in tab.requests if each.endswith(":preview")]
    assert 1 <= len(previews) <= 2, "one pause, one question"
    tab.write("#demand", "")
    tab.wait("!document.body.classList.contains('busy')")


def test_a_number_a_chance_and_a_slider_are_one_choice(tab, url):
    ask(tab)
    curve = asked(url, "v1/audiences:preview", {"demand": PICNIC, "size": 1000})["curve"]
    least = round(100 * curve[19]["probability"], 4)

    tab.write("#least", str(least))
    tab.press("Enter")

    above = sum(100 * point["probability"] >= least for point in curve)
    tab.see(f"Of the likeliest {above} users", ".told")
    assert tab.run("document.querySelector('#size-slider').value") == str(size_of(tab)) == str(above)
    tab.write("#least", "99.99")
    tab.press("Enter")
    tab.see("Nobody is that likely", ".problem")
    tab.write("#size", "7")
    tab.press("Enter")
    told = tab.see("Of the likeliest 7 users", ".told")
    assert f"about {curve[6]['expected']:.0f} will" in told


def test_what_sets_them_apart_is_told_of_the_chosen_size(tab):
    ask(tab)
    assert not tab.text(".traits"), "everybody is like everybody"

    tab.write("#size", "10")
    tab.press("Enter")
    told = tab.see("histories of the first 10 users", ".traits")
    assert "picnic basket\t100%\t0%" in told
    tab.write("#size", "12")
    tab.press("Enter")
    assert "picnic basket\t83%" in tab.see("histories of the first 12 users", ".traits")
    previews = len([each for each in tab.requests if each.endswith(":preview")])
    assert previews == 3, "one of the sentence, one of each size"
    tab.write("#size", "10")
    tab.press("Enter")
    tab.see("histories of the first 10 users", ".traits")
    assert len([each for each in tab.requests if each.endswith(":preview")]) == previews
    ask(tab, "a garden plant")
    tab.see("garden plant", ".people")
    tab.see("histories of the first 10 users", ".traits")
    assert "garden plant\t100%" in tab.text(".traits") and "picnic" not in tab.text(".traits")


def test_a_curve_beyond_its_points_is_asked_for_exactly(tab):
    script = """(async () => {
        const { Curve } = await import("./page/curve.js");
        const curve = new Curve([{size: 100, probability: .4, expected: 50, low: 40, high: 60},
                                 {size: 110, probability: .3, expected: 54, low: 43, high: 65}]);
        const found = [curve.at(105), curve.at(100), curve.isExact(105)];
        found.push(curve.snapped(101, 100), curve.snapped(109, 110));
        curve.add({size: 105, probability: .35, expected: 52, low: 41, high: 63});
        return [...found, curve.isExact(105), curve.at(105).low, curve.end];
    })()"""
    between, at, exact, up, down, now, low, end = tab.run(script)

    assert between == {"size": 105, "probability": pytest.approx(0.35), "expected": 52, "low": 41, "high": 63}
    assert (at["expected"], exact, up, down, now, low, end) == (50, False, 110, 100, True, 41, 110)


def test_what_was_read_can_be_changed_and_removed(tab):
    ask(tab, "users over 30 who will look at a picnic basket")
    tab.see("have age more than 30", "#answer")
    assert f"29 users of {USERS} meet the conditions" in tab.text(".told")

    tab.click("button[aria-label='Change: have age more than 30']")
    tab.write(".editor input[aria-label='Number']", "50")
    tab.press("Enter")
    tab.see("have age more than 50")
    assert tab.run("document.activeElement.id") == "read-title", "not lost with what was replaced"
    tab.see(f"9 users of {USERS} meet the conditions", ".told")
    tab.click("button[aria-label='Remove: have age more than 50']")
    tab.wait("!document.querySelector('#answer').innerText.includes('have age')")
    tab.click("#answer button.link:last-of-type:not(.fields button)")
    tab.see("have age more than 30", "#answer")


def test_all_that_was_changed_in_a_chip_is_asked(tab):
    ask(tab, "people who bought a garden plant in the last 300 days and will buy a picnic basket")
    tab.click("button.words[aria-label*='garden plant']")
    tab.write(".editor input[aria-label='About']", "cake stand")
    tab.write(".editor input[aria-label='Days']", "200")
    tab.press("Enter")

    told = tab.see("cake stand", "#answer")
    assert "in the last 200 days" in told and "garden plant" not in tab.text("#answer .chips")


def test_a_filter_that_leaves_too_few_can_be_taken_back(page, tmp_path):  # noqa: F811
    with answering(published(tmp_path, minimum_audience=20)) as url:
        page.open(url)
        page.see("This lake suggests")
        ask(page)
        add_filter(page, "age", "55")
        page.see("Audience too small", "#ask-problem")

        page.click("#ask-problem button[aria-label='Remove: age >= 55']")

        page.wait("!document.querySelector('#answer').hidden && !document.querySelector('#ask-problem').innerText")
        page.see(f"Of the likeliest {USERS} users", ".told")


def test_a_space_behind_the_sentence_leaves_the_question_on_its_way(tab, monkeypatch):
    real = Desk.preview

    def slowly(self, *args, **asked):
        time.sleep(1)
        return real(self, *args, **asked)

    monkeypatch.setattr(Desk, "preview", slowly)
    tab.write("#demand", PICNIC)
    tab.press("Enter")
    tab.wait("document.body.classList.contains('busy')")
    tab.press(" ")
    tab.see(f"Of the likeliest {USERS} users", ".told")
    tab.wait("!document.body.classList.contains('busy')")

    tab.write("#demand", "")
    tab.wait("document.querySelector('#answer').hidden", 5)


def test_sizes_and_chances_beyond_the_range_are_those_that_were_typed(tab):
    script = """(async () => {
        const { Figures } = await import("./page/figures.js");
        const bodies = [], further = [];
        const point = (size) => ({size, probability: 1 / size, expected: 1, low: 0, high: 2});
        const refine = async (body) => { bodies.push(body); return {size: 2500, curve: [point(2500)]}; };
        const figures = new Figures({chosen() {}, refine, further: (size) => further.push(size)});
        const audience = {expected: null};
        const answer = {curve: [point(1), point(1000)], size: 1000, eligible: 5000, deciles: [], audience};
        figures.update(answer, {users: 5000, horizon_days: 30}, 1000, 16384);
        figures.size_.value = "4500";
        await figures.sized();
        figures.least.value = "2";
        await figures.bounded();
        return [further, bodies];
    })()"""

    further, bodies = tab.run(script)

    assert further == [4500, 2500] and bodies == [{"size": 5000, "minimum_probability": 0.02}]


def test_a_filter_of_ones_own_is_added_and_removed(tab):
    ask(tab)
    add_filter(tab, "age", "55")

    tab.see("age >= 55", "#answer")
    tab.see(f"5 users of {USERS} meet", ".told")
    tab.click("button[aria-label='Remove: age >= 55']")
    tab.see(f"Of the likeliest {USERS} users", ".told")


def test_warnings_are_readable_notes(tab):
    ask(tab, "nice people")

    assert "Too vague to tell users apart" in tab.see("Too vague", ".notes")


def test_the_audience_is_lit_on_the_map(tab):
    ask(tab)
    tab.wait("document.querySelector('.map .lit') !== null")
    assert tab.run("document.querySelector('.map .dots').getAttribute('d').split('M').length - 1") == USERS
    tab.write("#size", "5")
    tab.press("Enter")

    lit = "document.querySelector('.map .lit').getAttribute('d').split('M').length - 1 === 5"
    tab.wait(lit)
    assert "5 of the audience's users among a sample of 40" in tab.run("document.querySelector('.map svg').ariaLabel")


@pytest.mark.parametrize(
    ("demand", "title", "told"),
    [
        ("", "Empty demand", "A demand must be a sentence"),
        ("Kunden, die einen Grill kaufen werden", "Other language", "reads English"),
    ],
)
def test_a_refused_sentence_says_why_beside_it(tab, demand, title, told):
    tab.write("#demand", demand)
    tab.press("Enter")

    shown = tab.see(title, "#ask-problem .problem")
    assert told in shown and len(shown.split("\n\n")) == 3, "a title, what happened, what to do"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_from_an_upload_to_an_audience_with_what_is_odd_about_it(tab, tmp_path, kind):
    ids = [user_name(at) for at in range(0, 32, 4)] + ["nobody"]
    file = tmp_path / f"buyers.{kind}"
    if kind == "csv":
        file.write_text("user_id\n" + "\n".join([*ids, ids[0]]))
    else:
        pq.write_table(pa.table({"user_id": [*ids, ids[0]]}), file)
    tab.run("location.hash = '#/seeds'")
    tab.upload("#seeds-file", file)

    tab.see("9 users who did it, 1 repeated.", "#seeds-read")
    assert tab.run("document.querySelector('#seeds-name').value") == "Like buyers"
    tab.write("#seeds-size", "6")
    tab.press("Enter")
    told = tab.see("The list it was made from", "#audience")
    assert (
        "8 users who did it." in told and "1 of 9 seeds are no users of the index" in told and "nobody unknown" in told
    )
    assert "Of 6 users" in told and "Made from a list of users" in told
    assert user_name(32) in tab.see("picnic basket once", "#audience .people")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name,age\nada,36\n", "no column 'user_id'; it has 'name', 'age'"),
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "neither"),
    ],
)
def test_a_file_that_is_no_list_says_why_beside_it(tab, tmp_path, content, told):
    (tmp_path / "bad.csv").write_bytes(content)
    tab.run("location.hash = '#/seeds'")
    tab.upload("#seeds-file", tmp_path / "bad.csv")

    shown = tab.see("Invalid seed file", "#seeds-read .problem")
    assert told in shown.lower() and "Send CSV or Parquet" in shown
    assert tab.run("document.querySelector('#seeds-make').disabled")


def test_saved_audiences_are_listed_compared_renamed_and_deleted(tab, url, settings):
    names = [f"{MARKUP} {side}" for side in ("one", "other")]
    for size, name in zip((10, 20), names, strict=True):
        asked(url, "v1/audiences", {"name": name, "demand": PICNIC, "size": size})
    go(tab, "#/saved")
    tab.see(names[1], ".list")
    for name in names:
        tab.run(
            f"[...document.querySelectorAll('.list input')].find(i => i.ariaLabel === {'Compare ' + name!r}).click()"
        )
    tab.click("#saved .actions button")
    told = tab.see("users are in both", "#saved")
    assert "10 users are in both" in told and f"100% of the 10 users of “{names[0]}”" in told

    tab.run(f"[...document.querySelectorAll('.list a')].find(a => a.innerText === {names[0]!r}).click()")
    tab.see("The promise", "#audience")
    tab.write("#new-name", "Renamed")
    tab.press("Enter")
    tab.see("Renamed", "#audience-title")
    tab.click("#audience .danger")
    assert tab.run("document.querySelector('dialog').open") and "cannot be undone" in tab.text("dialog")
    tab.click("dialog .danger")
    tab.wait("!document.querySelector('#saved').innerText.includes('Renamed')")
    tab.see(names[1], ".list")
    assert tab.run("document.title") != "owned"
    tab.wait("document.querySelector('dialog[open], .list input:checked') === null")
    tab.wait("!document.querySelector('#saved').innerText.includes('users are in both')")
    tab.click("nav a[href='#/ask']")
    tab.wait("!document.querySelector('#view-ask').hidden")


def test_what_an_audience_was_made_from_is_told_and_long_names_break(tab, url):
    body = {"sentences": [{"text": PICNIC}], "size": 5, "name": f"https://example.com/{'a' * 170}"}
    asked(url, "v1/audiences", body)
    go(tab, "#/saved")
    assert f"from {PICNIC}" in tab.see("example.com", ".list")
    tab.look(800)
    assert tab.run("document.documentElement.scrollWidth") <= 800
    tab.run("[...document.querySelectorAll('.list a')].find(a => a.innerText.includes('example.com')).click()")
    assert f"Made from {PICNIC}." in tab.see("The promise", "#audience")


def test_what_became_of_a_promise_is_beside_it(tab, settings):
    store = AudienceStore(Database(settings.work.audiences))
    stored, _ = store.create(new("Spring"), now=NOW)
    store.claim()
    store.finish(stored.id, made(20, held_out=4))
    tenth = {"users": 2, "probability": 0.4, "rate": 0.5, "lift": 2.5}
    side = {"users": 8, "count": 4, "rate": 0.5}
    store.record(
        stored.id,
        {
            "status": "measured",
            "realised": {"count": 10, "users": 20, "rate": 0.5},
            "predicted": {"expected": 8.0, "within": True, "factor": 0.8},
            "base_rate": 0.2,
            "lift": 2.5,
            "deciles": [{"decile": at, **tenth} for at in range(1, 11)],
            "effect": {"treated": side, "holdout": side, "difference": 0.0, "low": -0.3, "high": 0.3, "enough": False},
            "measured_at": NOW,
        },
    )
    go(tab, f"#/audiences/{stored.id}")

    told = tab.see("What became of it", "#backtest")
    assert (
        "10 of 20 did it; 8 were expected." in told and "The promise held. That is 50%, of everybody 20% (2.5" in told
    )
    assert (
        "Too few users were held out to tell" in told
        and "16 users, best first without the 4 users held out" in tab.text()
    )
    go(tab, "#/saved")
    tab.see("10 did (50%)", ".list")


def test_an_audience_that_is_being_made_shows_how_far_it_is_and_can_be_stopped(tab, settings, monkeypatch):
    monkeypatch.setattr(AudienceStore, "claim", lambda self: None)
    store = AudienceStore(Database(settings.work.audiences))
    waiting, _ = store.create(new("Waiting"), now=NOW)
    go(tab, f"#/audiences/{waiting.id}")
    tab.see("Waiting for its turn", "#audience")

    tab.click("#audience button")

    tab.see("This audience was cancelled", "#audience")


def test_reasons_end_with_the_index_that_chose_the_users(tab, settings):
    store = AudienceStore(Database(settings.work.audiences))
    earlier, _ = store.create(new("Earlier"), now=NOW)
    store.claim()
    store.finish(earlier.id, made(6, ds="2024-05-01"))
    go(tab, f"#/audiences/{earlier.id}")

    assert "another does by now" in tab.see("as long as the index that chose them answers", "#audience .wide")
    assert "u00000" in tab.text("#audience .people")


def test_an_audience_that_is_not_there_is_told(tab):
    go(tab, "#/audiences/aud_none")

    assert "GET /v1/audiences lists those" in tab.see("Audience not found", "#audience .problem")


def test_a_link_that_was_cut_off_is_told(tab):
    go(tab, "#/audiences/%")

    tab.see("Audience not found", "#audience")


def test_a_server_that_went_away_is_told_and_nothing_is_lost(tab, monkeypatch):
    tab.send("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    try:
        tab.write("#demand", PICNIC)
        tab.press("Enter")
        tab.see("No answer", "#ask-problem")
        assert tab.run("document.querySelector('#demand').value") == PICNIC
    finally:
        tab.send(
            "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
    ask(tab)


def test_a_fault_of_the_server_is_told_without_its_innards(tab, monkeypatch):
    monkeypatch.setattr(WordModel, "read_demands", lambda *asked: 1 / 0)
    tab.write("#demand", PICNIC)
    tab.press("Enter")

    told = tab.see("Internal error", "#ask-problem")
    assert "fault of the server" in told and "ZeroDivision" not in tab.text()


def test_everything_is_reached_by_the_keyboard(tab):
    tab.focus(".skip")
    assert tab.run("document.activeElement.getBoundingClientRect().width > 100"), "shown while it has the focus"
    seen = []
    for _ in range(40):
        tab.press("Tab")
        seen.append(tab.run("document.activeElement.id || document.activeElement.innerText"))
        if seen[-1] == "demand":
            break
    assert seen == ["FOUND", "Ask", "From a list", "Saved", "demand"]
    tab.type(PICNIC)
    tab.press("Enter")
    tab.see("Of the likeliest", ".told")
    wanted = ["size-slider", "size", "least", "save-name", "save-holdout"]
    for _ in range(40):
        tab.press("Tab")
        here = tab.run("document.activeElement.id")
        outline = tab.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or tab.run("document.activeElement.matches('body, textarea')"), here
        if wanted and here == wanted[0]:
            wanted.pop(0)
        if not wanted:
            break
    assert not wanted, f"never reached: {wanted}"
    assert tab.run(
        "[...document.querySelectorAll('input, select, textarea')].every(e => e.labels?.length || e.ariaLabel)"
    ), "every field has a name"


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_a_phone_of_360_points(tab, url, dark):
    stored = asked(url, "v1/audiences", {"name": "x" * 120, "demand": PICNIC, "size": 10})
    tab.look(360, 740, dark=dark)
    ask(tab, f"users over 30 who will look at a {'picnicbasket' * 12}")
    tab.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    for view in (*VIEWS, f"#/audiences/{stored['id']}"):
        go(tab, view)
        tab.wait("document.querySelector('main > section:not([hidden])').innerText")
        tab.wait("!document.body.innerText.includes('Loading')")
        assert tab.run("document.documentElement.scrollWidth") == 360, view
    colours = tab.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    assert (sum(map(int, colours[0][4:-1].split(","))) < 200) == dark


def test_the_page_may_load_nothing_but_its_own_files(tab, url):
    with urllib.request.urlopen(url) as answer:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    for file in FOLDER.iterdir():
        with urllib.request.urlopen(f"{url}page/{file.name}") as answer:
            assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    blocked = tab.run(
        "new Promise(done => { document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
        "fetch('https://example.com/').catch(() => {}); })"
    )
    assert blocked == "connect-src"
    tab.complaints.clear()
    tab.requests.clear()


def test_the_documentation_is_readable_and_loads_nothing_from_elsewhere(tab, url):
    tab.open(f"{url}docs")
    tab.see("Audiences from a sentence or from seed users")
    tab.see("/v1/audiences:target")
    tab.click(".opblock-summary-control")
    tab.see("Try it out")

    assert tab.complaints == [] and all(asked.startswith((url, "data:")) for asked in tab.requests)
    tab.requests.clear()


def test_a_key_is_asked_for_where_the_server_wants_one(page, tmp_path):  # noqa: F811
    settings = published(tmp_path / "work", require_keys="always")
    keys = Keys(settings.work.keys)
    _, viewer = keys.create(name="reads", role="viewer")
    _, analyst = keys.create(name="makes", role="analyst")
    with answering(settings) as url:
        page.open("about:blank")
        page.open(url)
        page.see("API key")
        page.write("#key-field", "wrong")
        page.press("Enter")
        page.see("the key is not valid", "#key")
        page.write("#key-field", viewer)
        page.press("Enter")
        page.see("This lake suggests")
        ask(page)
        page.see("Your key shows no single users", "#answer")
        page.write("#save-name", "Mine")
        page.press("Enter")
        page.see("Forbidden", ".save .problem")
        page.run("sessionStorage.clear()")
        page.open("about:blank")
        page.open(url)
        page.see("API key")
        page.write("#key-field", analyst)
        page.press("Enter")
        page.see("This lake suggests")
        ask(page)
        page.write("#save-name", "Mine")
        page.press("Enter")
        page.see("The promise", "#audience")
        page.downloads(tmp_path)
        page.click("#audience .actions button")
        assert len(downloaded(tmp_path).read_text().splitlines()) == USERS + 1, "the file came with the key"
        assert page.run("document.querySelector('#key').hidden") and analyst not in page.run("location.href")
        page.run("sessionStorage.clear()")


def test_members_are_sent_where_the_server_sends_any(page, tmp_path):  # noqa: F811
    with Receiver().answering() as receiver:
        receiver.answers = [503, 200]
        settings = published(tmp_path / "work", export_hosts=receiver.host, export_secret="shared secret")
        with answering(settings) as url:
            stored = asked(url, "v1/audiences", {"name": "Out", "demand": PICNIC, "size": 7})
            page.open("about:blank")
            page.open(f"{url}#/audiences/{stored['id']}")
            assert f"Signed, by this server, to {receiver.host}." in page.see("Signed", ".send")
            page.write("#export-url", "https://evil.com/")
            page.press("Enter")
            page.see("exports may not go to 'evil.com'".capitalize(), ".send .problem")
            page.write("#export-url", receiver.url)
            page.run("document.querySelector('#export-format').value = 'jsonl'")
            page.click(".send button")

            told = page.see("delivered after 2 attempts: JSON lines to", "#audience [aria-label='What was sent']")

        assert receiver.url in told and len(receiver.got[-1][2].splitlines()) == 7
        assert not page.text(".send .problem")


def test_an_empty_work_directory_says_what_to_run(page, tmp_path):  # noqa: F811
    with answering(Settings(workdir=str(tmp_path))) as url:
        page.open("about:blank")
        page.open(url)
        told = page.see("Nothing can be asked yet")
        assert "found run LAKE --workdir DIR" in told and "no collection is published" in told.lower()
        page.run("location.hash = '#/saved'")
        page.see("Nothing is saved yet.")
