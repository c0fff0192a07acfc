"""The report says who is first and what holds, marks what does not count, and the page needs nothing but itself."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_results import PLAN, WORTH, result, results

from feature_repo.contracts.errors import FoundError
from model.evaluation.comparison import difference
from model.evaluation.pictures import SIDE, Picture, picture, read_pictures, write_picture
from model.evaluation.report import Comparison, Method, Study, markdown, page, write_report
from model.evaluation.report.plan import Book
from model.evaluation.report.studies import study_tables
from model.evaluation.report.svg import ticks
from model.evaluation.report.tables import all_measures, margins, overview, per_scenario, standings, verdicts
from model.evaluation.results import write

VOID = {"meta"}


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(PLAN, results())


@pytest.fixture(scope="module")
def text(book: Book) -> str:
    return markdown.render(book)


@pytest.fixture(scope="module")
def html(book: Book) -> str:
    rng = np.random.default_rng(0)
    groups = {
        "untargeted": rng.normal(size=(40, 4)),
        "targeted": rng.normal(size=(10, 4)) + 3,
        "demand": np.ones((1, 4)),
    }
    return page.render(book, [picture("p", groups, title="Few-shot", marks=("demand",))])


def row(table, name: str) -> list[str]:
    (found,) = [cells for cells in table.rows if cells[0].text == name]
    return [cell.text for cell in found]


# tables


def test_the_overview_has_mean_spread_specificity_and_seconds(book):
    table = overview(book, "zero-shot")
    aucs = [np.mean([s.measures["auc"].value for s in result("found", "shop", i).scenarios.values()]) for i in range(3)]

    assert table.header == ("method", "shop", "films", "seconds")
    assert row(table, "FOUND")[1] == f"{np.mean(aucs):.3f} ± {np.std(aucs, ddof=1):.3f} / 0.74"
    assert row(table, "FOUND")[3] == "4.2"
    assert re.fullmatch(r"0\.\d{3} / 0\.66", row(table, "Recency")[1])  # one seed has no spread


def test_the_best_of_each_lake_is_marked_and_nothing_else(book):
    marked = [[cell.best for cell in cells[1:3]] for cells in overview(book, "zero-shot").rows]

    assert marked == [[True, True], *[[False, False]] * 5]


def test_nothing_is_best_where_nothing_else_is():
    alone = Book(PLAN, [result("found", "shop"), result("recency", "shop")])
    table = all_measures(alone, "zero-shot", "shop")
    best = {name: cell.best for name, cell in zip(table.header, table.rows[0], strict=True)}
    assert best["AUC"] and not best["Brier"] and not best["ECE"]


def test_the_size_of_the_audience_is_the_median_factor(book):
    table = all_measures(book, "zero-shot", "shop")
    ratios = [s.measures["size_ratio"].value for s in result("msdp", "shop").scenarios.values()]

    assert row(table, "MSDP")[table.header.index("size off by")] == f"{np.median([max(r, 1 / r) for r in ratios]):.2f}"
    assert row(table, "Recency")[table.header.index("size off by")] == "-"


def test_a_method_no_better_than_its_random_twin_is_not_reproduced(book):
    cells = row(overview(book, "zero-shot"), "U-MLP One4all")

    assert cells[1].startswith("not reproduced (not above its random-weight twin): 0.5")
    assert cells[2].startswith("not reproduced (not above chance): 0.5")
    assert "U-MLP One4all" not in [row[0].text for row in standings(book, "zero-shot", "shop").rows]
    assert row(overview(book, "zero-shot"), "MSDP")[1].startswith("0.7")


def test_a_method_above_chance_but_not_above_its_twin_is_not_reproduced():
    proud = replace(PLAN, methods=(*PLAN.methods, Method("msdp-random", "Lucky", "zero-shot", twin="msdp")))
    cells = row(overview(Book(proud, results()), "zero-shot"), "Lucky")

    assert cells[1].startswith("not reproduced (not above its random-weight twin): 0.6")


def test_a_method_whose_twin_was_not_measured_is_not_reproduced():
    alone = [one for one in results() if one.what.method != "msdp-random"]

    assert row(overview(Book(PLAN, alone), "zero-shot"), "MSDP")[1].startswith(
        "not reproduced (its random-weight twin was not measured): "
    )


def test_what_is_absent_says_why_and_what_is_not_computed_says_so(book):
    why = "absent: no causal language model at hand (set FOUND_LANGUAGE_MODEL)"

    assert row(overview(book, "zero-shot"), "ARALLM (fine-tuned LM)")[1:] == [why, why, "-"]
    assert row(overview(book, "with the fit labels"), "Gradient boosting")[1:] == ["not computed yet"] * 2 + ["-"]


def test_differences_to_the_best_say_what_holds(book):
    table = standings(book, "zero-shot", "shop")
    cells = row(table, "Recency")

    assert table.note.startswith("FOUND is first. ")
    assert re.fullmatch(r"\+0\.\d{3} \(\+0\.\d{3} to \+0\.\d{3}\)", cells[1])
    assert cells[2:] == ["yes", "3 / 0 / 0"]
    assert [cells[0].text for cells in table.rows] == ["Training-free heuristic", "MSDP", "Recency"]


def test_a_difference_within_the_noise_does_not_hold():
    copy = replace(result("found", "shop", 1), what=replace(result("found", "shop").what, method="heuristic"))
    table = standings(Book(PLAN, [result("found", "shop"), copy]), "zero-shot", "shop")

    assert [cells[2].text for cells in table.rows] == ["no"]


def test_scenarios_carry_their_base_rate_and_intervals(book):
    table = per_scenario(book, "zero-shot", "shop")

    assert table.header == ("method", "buys gifts", "buys tea", "will stop buying")
    assert re.fullmatch(r"0\.\d{3} of 400", row(table, "base rate")[1])
    assert re.fullmatch(r"0\.\d{3} \(0\.\d\d to 0\.\d\d\)", row(table, "Recency")[1])
    assert row(table, "ARALLM (fine-tuned LM)")[1:] == ["-"] * 3


def test_margins_are_in_points_beside_the_papers(book):
    table = margins(book)

    assert [cell.text for cell in table.rows[1]][:3] == ["zero-shot over recency", "precision", "+10"]
    assert re.fullmatch(r"\+\d+\.\d \([+-]\d+\.\d to \+\d+\.\d\)", table.rows[1][3].text)


def test_a_margin_that_no_lake_has_is_no_row(book):
    absent = Comparison("zero-shot over ARALLM", "found", "arallm", ("auc",), "+10")
    with_absent = Book(replace(PLAN, comparisons=(absent, *PLAN.comparisons)), results())

    assert margins(with_absent) == margins(book)


# studies


def studied(*extra, against=("found",)):
    changed = (Method("no-texts", "without texts", "study"), Method("no-one", "without anybody", "study"))
    plan = replace(PLAN, studies=(Study("Ablations", "What each part is worth.", changed, against),))
    return Book(plan, [*results(), *extra])


def as_method(name, one):
    return replace(one, what=replace(one.what, method=name))


def test_a_study_shows_each_change_less_ours_on_the_seeds_that_both_have():
    changed = as_method("no-texts", result("msdp", "shop", 1))
    (table,) = study_tables(studied(changed))
    expected = difference([changed], [result("found", "shop", 1)], "auc")

    assert table.header == ("method", "shop", "less FOUND", "films", "less FOUND")
    assert [cells[0].text for cells in table.rows] == ["FOUND", "without texts"]
    assert table.rows[1][2].text == f"{expected.value:+.3f} ({expected.low:+.3f} to {expected.high:+.3f})"
    assert expected.high < 0 and not table.rows[1][2].best, "one seed proves nothing of others"
    assert (
        replace(expected, seeds=3).holds_over_seeds and not replace(expected, low=-1, high=1, seeds=3).holds_over_seeds
    )
    assert [cell.text for cell in table.rows[0]][2] == "-"
    assert [cell.text for cell in table.rows[1]][3:] == ["not computed yet", "-"]


def test_a_study_of_which_nothing_is_known_has_no_table_and_no_section():
    assert study_tables(studied()) == []
    assert "one thing changed" not in markdown.render(studied())


def test_a_study_says_why_a_row_is_absent_and_other_tables_are_not_longer_for_it():
    why = replace(result("msdp", "shop"), scenarios={}, overall={}, absent="the lake has no texts.")
    book = studied(as_method("no-texts", why), against=("found", "recency"))
    (table,) = study_tables(book)

    assert [cells[0].text for cells in table.rows] == ["FOUND", "Recency", "without texts"]
    assert table.rows[2][1].text == "absent: the lake has no texts." and table.rows[2][1].quiet
    assert table.rows[1][2].text.startswith("-0.")
    assert overview(book, "zero-shot").rows == overview(studied(), "zero-shot").rows
    assert markdown.render(book).count("without texts") == 1


def test_a_study_against_a_stranger_is_refused():
    with pytest.raises(FoundError, match=r"the report's plan names \['nobody'\], which are no methods of it"):
        studied(against=("nobody",))


def test_margins_of_a_study_are_taken_on_the_seeds_that_both_have():
    changed = as_method("no-texts", result("msdp", "shop", 1))
    book = studied(changed)
    book.plan = replace(
        book.plan, comparisons=(Comparison("over itself without texts", "found", "no-texts", ("auc",)),)
    )
    expected = difference([result("found", "shop", 1)], [changed], "auc")

    assert margins(book).rows[0][3].text.startswith(f"{expected.value * 100:+.1f} (")


def test_the_verdict_names_our_place_on_every_lake(book):
    first = verdicts(book)[0]
    second = verdicts(Book(replace(PLAN, ours="recency"), results()))[0]

    place = "shop: FOUND is first of 4 by mean AUC; next is Training-free heuristic"
    assert re.fullmatch(place + r", \+0\..* to .*, which holds by one seed\.", first)
    assert re.fullmatch(
        r"shop: Recency is number 4 of 4 by mean AUC; first is FOUND, -0\..* to .*, which holds by one seed\.", second
    )


def test_a_plan_of_unknown_methods_or_too_many_lines_is_refused():
    with pytest.raises(FoundError, match=r"plan names \['typo'\], which are no methods of it"):
        replace(PLAN, comparisons=(Comparison("x", "found", "typo", ("auc",)),))
    with pytest.raises(FoundError, match="figures show at most 6 methods, the plan draws 7"):
        replace(PLAN, drawn=tuple(method.name for method in PLAN.methods))


# Markdown


def test_every_markdown_row_has_as_many_cells_as_its_header(text):
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") - line.count("\\|") for line in block.splitlines()}) == 1


def test_markdown_marks_the_best_and_what_does_not_count(text):
    assert re.search(r"^\| FOUND \| \*\*0\.\d{3} ± 0\.\d{3} / 0\.74\*\* \|", text, re.M)
    assert "_not reproduced (not above chance): 0.5" in text
    assert "- A remark about <the> whole." in text
    assert text.startswith("# Results\n\nMade-up methods on made-up lakes.\n\n## In short\n\n- shop: FOUND is first")


# the page


class Pages(HTMLParser):
    """Checks that every tag is closed, and collects what points elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href", "data")]
        self.ids |= {value for name, value in attrs if name == "id"}
        assert tag not in ("script", "link", "iframe", "img", "object")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in ("path", "rect", "circle")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_closed_and_needs_nothing_from_outside(html):
    parser = Pages()
    parser.feed(html)

    assert parser.open == []
    assert parser.links and {link.lstrip("#") for link in parser.links} <= parser.ids
    assert "url(" not in html and "@import" not in html and "http" not in html


def test_the_page_escapes_what_it_is_given(html):
    assert "A remark about &lt;the&gt; whole." in html and "<the>" not in html


def test_the_page_has_a_style_for_dark_and_for_narrow_screens(html):
    assert "prefers-color-scheme:dark" in html and "width=device-width" in html and "overflow-x:auto" in html


def test_each_lake_has_its_figures_and_each_method_one_colour(html):
    assert (
        html.count("<b>Lift by decile</b>") == html.count("<b>Scenarios</b>") == html.count("<b>Calibration</b>") == 2
    )
    assert re.findall(r'class="dot s(\d)"[^>]*><title>FOUND', html) == ["1"] * (2 * 10 + 2 * 15)
    assert len(re.findall(r'<rect class="bar s2" x=', html)) == 5  # the heuristic, once per scenario
    assert "nan" not in html.lower().replace("finance", "")


def test_a_method_without_probabilities_has_no_calibration_line(html):
    calibration = html.split("<b>Calibration</b>")[1].split("</figure>")[0]

    assert "FOUND" in calibration and "MSDP" in calibration and "Recency" not in calibration


def test_a_report_without_any_result_still_says_what_is_missing():
    empty = Book(PLAN, [])

    assert "not computed yet" in markdown.render(empty)
    assert "not computed yet" in page.render(empty)


def test_one_command_s_work_from_a_folder_gives_the_same_bytes_twice(tmp_path):
    for one in results():
        write(tmp_path / "results", one)
    for name in "ab":
        write_report(tmp_path / "results", PLAN, text=tmp_path / f"{name}.md", html=tmp_path / f"{name}.html")

    assert (tmp_path / "a.md").read_bytes() == (tmp_path / "b.md").read_bytes()
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert len(WORTH) > 0 and (tmp_path / "a.md").read_text().count("## ") >= 4


# plots


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.7, 10.3, [2, 4, 6, 8, 10]), (0.43, 0.81, [0.5, 0.6, 0.7, 0.8])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


# t-SNE


def clouds(rows: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "untargeted": rng.normal(size=(rows, 5)),
        "targeted": rng.normal(size=(rows, 5)) + 8,
        "demand": np.full((1, 5), 8.0),
    }


def test_a_picture_keeps_apart_what_is_apart():
    drawn = picture("p", clouds(), title="t", marks=("demand",))
    far, near, demand = (np.array(points) for points in drawn.groups.values())

    assert min(far.min(), near.min()) >= 0 and max(far.max(), near.max()) <= SIDE
    own, other = (np.linalg.norm(group.mean(axis=0) - demand[0]) for group in (near, far))
    assert own < other / 2


def test_a_picture_of_too_many_users_draws_as_many_of_each_kind_and_keeps_the_marks():
    given = clouds() | {"few": np.zeros((3, 5))}
    drawn = picture("p", given, title="t", marks=("demand",), limit=25)

    assert {name: len(points) for name, points in drawn.groups.items()} == {
        "untargeted": 8,
        "targeted": 8,
        "demand": 1,
        "few": 3,
    }
    assert drawn == picture("p", given, title="t", marks=("demand",), limit=25)


def test_pictures_are_read_back_in_the_order_of_their_names(tmp_path):
    one, other = (Picture(name, "", {"a": [[1, 2]]}, ("a",)) for name in "xy")
    write_picture(tmp_path / "2.json", one)
    write_picture(tmp_path / "1.json", other)

    assert read_pictures(tmp_path) == [other, one]
    assert read_pictures(tmp_path / "none") == []


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(FoundError, match=r"a\.json holds no picture \(.*\): delete it and draw it again"):
        read_pictures(tmp_path)
    with pytest.raises(FoundError, match=r"picture 'p': at least 8 embeddings of one width were expected, found 7 of"):
        picture("p", {"a": np.zeros((7, 2))}, title="t")
    with pytest.raises(FoundError, match=r"picture 'p': the embeddings of \['a'\] hold values that are not finite"):
        picture("p", {"a": np.full((9, 2), np.inf)}, title="t")
    with pytest.raises(FoundError, match=r"picture 'p': at most 7 groups can be told apart, found 8: join some"):
        picture("p", {str(i): np.zeros((2, 2)) for i in range(9)}, title="t", marks=("0",))
