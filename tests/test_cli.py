"""The `found` command: help at once, one-line errors, steps as processes with progress, logs and a table."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import psutil
import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import SPARK_CONF_DIR, Step
from serving import evaluate as evaluator
from serving import run as runner
from serving.cli import main
from serving.evaluate import SubRun, Suite, evaluate_lake, sub_runs
from serving.plan import plan
from serving.processes import StepFailed, environment, run_process
from serving.progress import Progress, table
from serving.run import run_lake

COMMANDS = (
    "generate",
    "import-dataset",
    "validate",
    "run",
    "evaluate",
    "target",
    "lookalike",
    "export",
    "serve",
    "rollback",
    "audiences",
    "backtest",
)
REPORT = {"ends": "2011-09-01T00:00:00+00:00", "first_event": "2009-12-01T07:45:00+00:00"}


def python_step(name: str, code: str) -> Step:
    return Step(name, ("python", "-c", code.replace("{", "{{").replace("}", "}}")), heading=f"do {name}")


def records(name: str) -> Step:
    """A step that notes in the work directory that it ran, and with which settings."""
    code = (
        "import os, sys, pathlib; w = pathlib.Path(os.environ['FOUND_WORKDIR']); w.mkdir(parents=True, exist_ok=True); "
        f"words = ['{name}', os.environ['FOUND_HORIZON_DAYS'], *sys.argv[1:]]; "
        "file = (w / 'ran.txt').open('a'); file.write(' '.join(words) + '\\n'); file.close()"
    )
    return Step(name, ("python", "-c", code, "{ds}", "{until}", "{cutoffs}", "{ranks}"), heading=name)


@pytest.fixture
def lake(tmp_path):
    lake = tmp_path / "lake"
    (lake / "scenarios").mkdir(parents=True)
    (lake / "lake.yaml").write_text("name: tiny\nsources: [bills]\n")
    scenarios = [("a", "2011-06-01", 90), ("b", "2011-06-01", 90), ("c", "2011-03-01", 30)]
    (lake / "scenarios" / "scenarios.yaml").write_text(
        "".join(f"- {{id: {i}, demand: d, cutoff: '{c}', horizon_days: {h}}}\n" for i, c, h in scenarios)
    )
    return lake


@pytest.fixture
def settings(lake, tmp_path):
    return Settings(lake=str(lake), workdir=str(tmp_path / "work"))


@pytest.fixture
def trivial_steps(monkeypatch):
    report = json.dumps(REPORT)
    code = (
        "import os, pathlib; w = pathlib.Path(os.environ['FOUND_WORKDIR']); w.mkdir(exist_ok=True); "
        f"(w / 'lake_report.json').write_text('''{report}''')"
    )
    training = (python_step("validate", code), records("pairs"), records("stage1"), records("stage2"))
    for module in (runner, evaluator):
        monkeypatch.setattr(module, "TRAINING", training)
        monkeypatch.setattr(module, "NIGHTLY", (records("features"), records("embed"), records("publish")))


def ran(settings: Settings) -> list[str]:
    return (settings.work.root / "ran.txt").read_text().splitlines()


def test_help_answers_at_once_and_names_every_command(capsys):
    started = time.monotonic()
    answer = subprocess.run([sys.executable, "-m", "serving.cli", "--help"], capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 3  # 0.3 s on an idle machine
    for command in COMMANDS:
        assert f"\n    {command}" in answer.stdout
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])


def test_the_command_imports_nothing_heavy():
    code = "import sys, serving.cli; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("torch", "numpy", "pyspark", "feast", "pymilvus", "fastapi", "pyarrow"):
        assert f"'{heavy}'" not in loaded


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["generate", "--users", "0", "--out", "x"], "must be a whole number of at least 1, found '0'"),
        (["run", "lake", "--ds", "yesterday"], "must be a date like 2011-09-01, found 'yesterday'"),
        (["run"], "the following arguments are required: LAKE"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_arguments_are_named(arguments, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "no/lake", "--workdir", "w"], "error: a lake is a folder with a lake.yaml, found none in "),
        (["run", "no/lake"], "error: missing settings: workdir. Give --workdir or FOUND_WORKDIR"),
        (["evaluate", "no/lake", "--workdir", "w"], "error: a lake is a folder with a lake.yaml"),
        (["target", "a sentence"], "error: missing settings: workdir"),
        (["lookalike", "--positives", "@nobody", "--workdir", "w"], "must be a text file with one user id a line"),
    ],
)
def test_what_a_user_can_cause_is_one_line_and_exit_code_2(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FOUND_")]:
        monkeypatch.delenv(name)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_seeds_come_from_a_list_or_a_file(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("serving.ask.show_lookalike", lambda _, positives, **named: asked.update(named, p=positives))
    (tmp_path / "no.txt").write_text("u3\n\n u4 \n")

    main(["lookalike", "--positives", "u1, u2", "--negatives", f"@{tmp_path}/no.txt", "--workdir", str(tmp_path)])

    assert (asked["p"], asked["negatives"]) == (["u1", "u2"], ["u3", "u4"])


def test_steps_run_with_this_environments_programs_and_the_settings(tmp_path):
    settings = Settings(workdir=str(tmp_path), horizon_days=7)
    environ = environment(settings, {"PATH": "/usr/bin:/bin", "HOME": "/root"})
    code = "import os, shutil, sys; print(shutil.which('python'), os.environ['FOUND_HORIZON_DAYS'], sys.executable)"

    run_process("look", ["python", "-c", code], environ=environ, log=tmp_path / "look.log")

    which, horizon, executable = (tmp_path / "look.log").read_text().split()
    assert (which, horizon) == (os.path.join(os.path.dirname(sys.executable), "python"), "7")
    assert os.path.dirname(executable) == os.path.dirname(sys.executable)
    assert environ["HF_HUB_OFFLINE"] == "1"
    assert environ["SPARK_CONF_DIR"] == str(SPARK_CONF_DIR)
    assert environment(settings, environ | {"SPARK_CONF_DIR": "/own"})["SPARK_CONF_DIR"] == "/own"
    assert environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_packaged_java_serves_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert "JAVA_HOME" not in environment(Settings(), {"PATH": ""})
    (tmp_path / "java" / "bin").mkdir(parents=True)
    (tmp_path / "java" / "bin" / "java").touch()
    assert environment(Settings(), {"PATH": ""})["JAVA_HOME"] == str(tmp_path / "java")
    assert environment(Settings(), {"PATH": "", "JAVA_HOME": "/j"})["JAVA_HOME"] == "/j"
    assert environment(Settings(), {"PATH": "", "JAVA_HOME": "/j", "FOUND_JAVA_HOME": "/f"})["JAVA_HOME"] == "/f"


def test_a_program_that_is_missing_is_named(tmp_path):
    with pytest.raises(FoundError, match="the program 'spark-nowhere' must be on the PATH"):
        run_process("s", ["spark-nowhere"], environ={"PATH": "/bin"}, log=tmp_path / "s.log")


def test_a_failing_step_shows_its_last_lines_and_log_and_stops_the_run(tmp_path, capsys):
    failing = python_step("embed", "import sys; print('\\n'.join(f'line {i}' for i in range(99))); sys.exit(7)")
    steps = [python_step("first", "pass"), failing, python_step("never", "open('never', 'w')")]

    with pytest.raises(StepFailed) as caught:
        Progress(3, logs=tmp_path).run(steps, {}, environment(Settings(), os.environ))

    assert caught.value.exit_code == 7
    told = str(caught.value)
    assert f"step 'embed' ended with code 7; the last lines of {tmp_path}/embed.log:" in told
    assert "| line 98" in told and "| line 79" in told and "| line 78" not in told
    shown = capsys.readouterr().out
    assert re.fullmatch(r"\[1/3\] first: do first \.\.\. \d+\.\d s\n\[2/3\] embed: do embed \.\.\. failed\n", shown)
    assert not (tmp_path / "never.log").exists()


def test_the_exit_code_of_a_failed_step_is_the_commands(trivial_steps, lake, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "TRAINING", (python_step("validate", "raise SystemExit(3)"),))
    assert main(["run", str(lake), "--workdir", str(tmp_path / "work")]) == 3
    assert "error: step 'validate' ended with code 3" in capsys.readouterr().err


def test_a_step_that_is_killed_says_by_which_signal(tmp_path):
    with pytest.raises(StepFailed, match="was killed by signal 9") as caught:
        kill = "import os; os.kill(os.getpid(), 9)"
        run_process("s", [sys.executable, "-c", kill], environ=dict(os.environ), log=tmp_path / "s.log")
    assert caught.value.exit_code == 128 + signal.SIGKILL


def test_an_interrupt_ends_the_step_and_all_that_it_started(tmp_path):
    code = (
        "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    )
    log = tmp_path / "s.log"

    def interrupt(seconds: float) -> None:
        if log.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_process("s", [sys.executable, "-c", code], environ=dict(os.environ), log=log, waiting=interrupt)

    assert not psutil.pid_exists(int(log.read_text()))


def test_peak_memory_counts_the_children_of_a_step(tmp_path):
    child = "b = bytearray(150 * 2**20); import time; time.sleep(2)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"

    done = run_process("s", [sys.executable, "-c", code], environ=dict(os.environ), log=tmp_path / "s.log")

    assert 150 < done.peak_mb < 400
    assert done.seconds >= 2


def test_a_run_hands_every_step_the_day_and_the_settings(trivial_steps, settings, capsys):
    progress, chosen = run_lake(settings, ds=None, ranks=2)

    assert (chosen.ds, chosen.horizon_days) == (date(2011, 9, 1), 30)
    names = ("pairs", "stage1", "stage2", "features", "embed", "publish")
    assert ran(settings) == [f"{name} 30 2011-09-01 2011-09-01 auto:16 2" for name in names]
    shown = capsys.readouterr().out
    assert "[1/7] validate: do validate ... " in shown and "[7/7] publish: publish ... " in shown
    assert "as of 2011-09-01, looking 30 days ahead\n" in shown
    assert progress.table().splitlines()[0].split() == ["step", "seconds", "peak", "MB"]
    assert [line.split()[0] for line in progress.table().splitlines()[2:]] == ["validate", *names, "all"]


@pytest.mark.parametrize(
    ("ends", "first", "given", "horizon", "expected"),
    [
        ("2011-09-01T00:00:00Z", "2009-12-01T00:00:00Z", None, 0, (date(2011, 9, 1), 30, "30 days ahead")),
        ("2011-09-01T17:30:00Z", "2009-12-01T00:00:00Z", None, 0, (date(2011, 9, 1), 30, "30 days ahead")),
        ("2011-09-01T00:00:00Z", "2011-07-23T00:00:00Z", None, 0, (date(2011, 9, 1), 10, "a quarter of the lake's 40")),
        ("2011-09-01T00:00:00Z", "2011-08-31T00:00:00Z", None, 0, (date(2011, 9, 1), 1, "a quarter of the lake's 1")),
        ("2011-09-01T00:00:00Z", "2009-12-01T00:00:00Z", date(2011, 6, 1), 90, (date(2011, 6, 1), 90, "90 days")),
    ],
)
def test_the_day_is_the_last_observed_midnight_and_a_short_lake_shortens_the_horizon(
    ends, first, given, horizon, expected
):
    chosen = plan({"ends": ends, "first_event": first}, ds=given, horizon_days=horizon)
    assert (chosen.ds, chosen.horizon_days) == expected[:2] and expected[2] in chosen.note


def test_a_day_after_the_lakes_end_is_refused():
    with pytest.raises(FoundError, match="observed until 2011-09-01 00:00 UTC; a ds must not lie after it"):
        plan(REPORT, ds=date(2011, 9, 2), horizon_days=0)


def test_an_evaluation_trains_once_per_cut_off_and_horizon_and_keeps_what_is_done(
    trivial_steps, settings, monkeypatch, capsys
):
    monkeypatch.setattr(evaluator, "_scoring", lambda *_: python_step("scores", "print('the table')"))

    progress = evaluate_lake(settings, ranks=1, fresh=False)

    root = settings.work.root / "evaluation"
    steps = ("pairs", "stage1", "stage2", "features", "embed")
    for folder, day, days in (("2011-03-01_30d", "2011-03-01", 30), ("2011-06-01_90d", "2011-06-01", 90)):
        assert (root / folder / "ran.txt").read_text().splitlines() == [
            f"{s} {days} {day} {day} auto:16 1" for s in steps
        ]
    assert progress.last_output() == "the table"
    assert len(progress.finished) == 11

    assert [f.name for f in evaluate_lake(settings, ranks=1, fresh=False).finished] == ["scores"]
    assert len(evaluate_lake(settings, ranks=1, fresh=True).finished) == 11

    serves_otherwise = replace(settings, port=9090, denied_fields="none", default_filters="consent = true")
    assert len(evaluate_lake(serves_otherwise, ranks=1, fresh=False).finished) == 1
    assert len(evaluate_lake(replace(settings, max_events=64), ranks=1, fresh=False).finished) == 11


def test_every_seed_trains_its_own_models_of_the_same_data(trivial_steps, settings, monkeypatch, capsys):
    asked = []
    scoring = python_step("scores", "pass")
    monkeypatch.setattr(evaluator, "_scoring", lambda *given: asked.append(given[2]) or scoring)

    progress = evaluate_lake(settings, ranks=1, fresh=False, seeds=3)

    root, models = settings.work.root / "evaluation" / "2011-06-01_90d", ("stage1", "stage2", "embed")
    names = [f.name for f in progress.finished if "2011-06-01" in f.name]
    assert names[5:] == [f"{step}_2011-06-01_90d_seed-{seed}" for seed in (1, 2) for step in models]
    for seed in (1, 2):
        ran = (root / f"seed-{seed}" / "ran.txt").read_text().splitlines()
        assert [line.split()[0] for line in ran] == list(models)
        assert (root / f"seed-{seed}" / "pairs").resolve() == (root / "pairs").resolve()
    assert "2011-06-01_90d: training on futures that end by 2011-06-01, seed 2\n" in capsys.readouterr().out
    assert asked == [3]
    assert len(evaluate_lake(settings, ranks=1, fresh=False, seeds=3).finished) == 1
    (root / "done.json").unlink()
    assert len(evaluate_lake(settings, ranks=1, fresh=False, seeds=3).finished) == 12, "new data, so every seed again"


def test_the_suite_keeps_its_results_where_it_is_told(trivial_steps, settings, monkeypatch):
    asked = []
    suite = python_step("suite", "print('who is first')")
    command = evaluator._suite(settings, settings.work.root / "evaluation", 2, Suite()).command
    told = evaluator._suite(settings, Path("runs"), 2, Suite("recency,ablations", results="kept")).command
    monkeypatch.setattr(evaluator, "_suite", lambda *given: asked.append(given[2:]) or suite)

    plain = evaluate_lake(settings, ranks=1, fresh=False, suite=Suite())
    elsewhere = evaluate_lake(settings, ranks=1, fresh=False, seeds=2, suite=Suite(results="kept"))

    assert plain.finished[-1].name == elsewhere.finished[-1].name == "suite" and plain.last_output() == "who is first"
    assert asked == [(1, Suite(), []), (2, Suite(results="kept"), [])]
    assert command[:7] == ("python", "-m", "model.evaluation.suite", "--lake", settings.lake, "--seeds", "2")
    assert str(settings.work.root / "results") in command and "--methods" not in command
    assert told[-2:] == ("--methods", "recency,ablations") and str(Path("kept").absolute()) in told


def test_a_transfer_builds_the_pairs_of_the_other_lakes_once(trivial_steps, settings, lake, tmp_path, monkeypatch):
    other = shutil.copytree(lake, tmp_path / "other")
    make, commands = evaluator._suite, []
    monkeypatch.setattr(
        evaluator, "_suite", lambda *given: commands.append(make(*given).command) or python_step("suite", "pass")
    )
    suite = Suite("transfer", (str(other),))

    first = evaluate_lake(settings, ranks=1, fresh=False, suite=suite)
    again = evaluate_lake(settings, ranks=1, fresh=False, suite=suite)

    below = settings.work.root / "train-lakes" / "other" / "evaluation" / "2011-06-01_90d"
    assert [f.name for f in first.finished[-2:]] == ["pairs_other", "suite"]
    assert [f.name for f in again.finished] == ["suite"]
    assert (below / "ran.txt").read_text().splitlines() == ["pairs 90 2011-06-01 2011-06-01 auto:16 1"]
    assert commands[0] == commands[1]
    assert commands[0][-4:] == ("--train-lakes", str(other), "--train-pairs", str(below / "pairs"))


def test_a_transfer_takes_the_pairs_of_an_evaluation_beside_it(trivial_steps, settings, lake, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluator, "_scoring", lambda *_: python_step("scores", "pass"))
    monkeypatch.setattr(
        evaluator, "_suite", lambda *given: told.append(given[4][0].workdir) or python_step("s", "pass")
    )
    other, told = shutil.copytree(lake, tmp_path / "other"), []
    evaluate_lake(replace(settings, lake=str(other), workdir=str(tmp_path / "other-work")), ranks=1, fresh=False)
    (tmp_path / "runs").mkdir()
    beside = replace(settings, lake=str(other), workdir=str(tmp_path / "runs" / "other"))
    evaluate_lake(beside, ranks=1, fresh=False)

    own = replace(settings, workdir=str(tmp_path / "runs" / "lake"))
    evaluate_lake(own, ranks=1, fresh=False, suite=Suite("transfer", (str(other),)))

    assert told == [str(tmp_path / "runs" / "other" / "evaluation" / "2011-06-01_90d")]


def test_a_lake_to_train_on_that_is_none_is_refused_before_anything_is_trained(trivial_steps, settings):
    with pytest.raises(FoundError, match=r"a lake is a folder with a lake\.yaml, found none in no/lake"):
        evaluate_lake(settings, ranks=1, fresh=False, suite=Suite("transfer", ("no/lake",)))
    with pytest.raises(FoundError, match=r"a transfer trains on other lakes than it is tested on, found .* as both"):
        evaluate_lake(settings, ranks=1, fresh=False, suite=Suite("transfer", (settings.lake,)))
    assert not (settings.work.root / "evaluation").exists()


@pytest.mark.parametrize(
    ("options", "suite"),
    [
        ([], None),
        (["--suite", "all"], Suite()),
        (["--suite", "quick"], Suite(evaluator.QUICK)),
        (["--methods", "ablations"], Suite("ablations")),
        (["--train-lakes", "/a,/b"], Suite("found,nearest_texts,transfer", ("/a", "/b"))),
        (["--suite", "all", "--train-lakes", "/a", "--results", "r"], Suite("", ("/a",), "r")),
    ],
)
def test_the_command_says_what_is_compared(options, suite, settings, monkeypatch, capsys):
    asked = {}
    done = Progress(1, logs=settings.work.root)
    monkeypatch.setattr(done, "last_output", lambda: "the table")
    monkeypatch.setattr(evaluator, "evaluate_lake", lambda *_, **named: asked.update(named) or done)
    assert main(["evaluate", settings.lake, "--workdir", settings.workdir, *options]) == 0
    assert asked["suite"] == suite
    told = capsys.readouterr().out
    assert ("results.html" in told) == (suite is not None) == ("evaluation.json" not in told)


def test_an_evaluation_of_a_changed_lake_or_of_other_settings_trains_again(trivial_steps, settings, lake, monkeypatch):
    monkeypatch.setattr(evaluator, "_scoring", lambda *_: python_step("scores", "pass"))
    evaluate_lake(settings, ranks=1, fresh=False)
    other = Settings(lake=settings.lake, workdir=settings.workdir, recipe="tiny")
    assert len(evaluate_lake(other, ranks=1, fresh=False).finished) == 11
    (lake / "lake.yaml").write_text("name: other\nsources: [bills]\n")
    assert len(evaluate_lake(other, ranks=1, fresh=False).finished) == 11


def test_a_sub_run_that_failed_is_repeated(trivial_steps, settings, monkeypatch):
    monkeypatch.setattr(evaluator, "_scoring", lambda *_: python_step("scores", "pass"))
    working = evaluator.NIGHTLY
    monkeypatch.setattr(evaluator, "NIGHTLY", (python_step("features", "raise SystemExit(1)"), *working[1:]))
    with pytest.raises(StepFailed):
        evaluate_lake(settings, ranks=1, fresh=False)
    monkeypatch.setattr(evaluator, "NIGHTLY", working)
    assert len(evaluate_lake(settings, ranks=1, fresh=False).finished) == 11


def test_sub_runs_share_the_encoded_texts(trivial_steps, settings, monkeypatch):
    monkeypatch.setattr(evaluator, "_scoring", lambda *_: python_step("scores", "pass"))
    evaluate_lake(settings, ranks=1, fresh=False)
    shared = settings.work.root / "evaluation" / "2011-06-01_90d" / "text_cache"
    assert shared.resolve() == settings.work.text_cache.resolve()


def test_scenarios_are_grouped_by_cut_off_and_horizon(lake):
    found = sub_runs(lake / "scenarios" / "scenarios.yaml")
    assert found == [SubRun(date(2011, 3, 1), 30), SubRun(date(2011, 6, 1), 90)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "an evaluation needs the lake's scenarios"),
        ("- {id: a}", "scenario 1 must have id, demand, cutoff, horizon_days, found {'id': 'a'}"),
        ("[]", "must be a list of scenarios, found \\[\\]"),
        ("a: 1", "must be a list of scenarios, found {'a': 1}"),
        ("[", "is not valid YAML in UTF-8"),
        ("- {id: a, demand: d, cutoff: soon, horizon_days: 3}", "scenario 1: cutoff is a date"),
        ("- {id: a, demand: d, cutoff: 2024-01-01, horizon_days: 0}", "horizon_days is at least 1, found 0"),
        ("- &s {id: a, demand: d, cutoff: 2024-01-01, horizon_days: 3}\n- *s", "found \\['a'\\] more than once"),
    ],
)
def test_scenarios_that_cannot_be_read_are_refused(tmp_path, text, told):
    path = tmp_path / "scenarios.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FoundError, match=told):
        sub_runs(path)


def test_a_table_is_as_wide_as_its_cells():
    assert table(("user", "p"), [("u1", "0.5"), ("longer", "0.25")]) == (
        "user    p\n------  ----\nu1      0.5\nlonger  0.25"
    )


def test_the_quick_suite_names_methods_that_exist():
    from model.evaluation.suite.families import families

    assert set(evaluator.QUICK.split(",")) <= {family.name for family in families()}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["erase", "u1"], "there is no work directory {}/typo: nothing was erased"),
        (["target", "tea drinkers"], "there is no work directory {}/typo"),
        (["lookalike", "--positives", "u1"], "there is no work directory {}/typo"),
    ],
)
def test_a_mistyped_work_directory_is_refused_and_not_made(tmp_path, capsys, command, told):
    assert main([*command, "--workdir", str(tmp_path / "typo")]) == 2

    assert told.format(tmp_path) in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_used_is_one_line(lake, tmp_path, capsys):
    (tmp_path / "file").write_text("")

    assert main(["run", str(lake), "--workdir", str(tmp_path / "file")]) == 2

    assert capsys.readouterr().err.count("\n") == 1


def test_a_recipe_that_does_not_exist_is_refused_before_anything_runs(lake, tmp_path, capsys):
    for verb in ("run", "evaluate"):
        assert main([verb, str(lake), "--workdir", str(tmp_path / "w"), "--recipe", "nosuch"]) == 2
        assert "unknown recipe 'nosuch'; recipes are ['found_default'," in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_a_port_is_one(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--port", "99999"])
    assert "must be at most 65535, found '99999'" in capsys.readouterr().err


def test_of_a_failed_step_its_own_error_is_shown(tmp_path):
    script = "import sys; print('error: the reason.'); print('x\\n' * 50); sys.exit(3)"
    with pytest.raises(StepFailed, match=r"(?s)ended with code 3; its log is .*log:\n  \| error: the reason\.$"):
        run_process("a", [sys.executable, "-c", script], environ=os.environ, log=tmp_path / "a.log")
