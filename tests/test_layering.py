"""The import arrows: contracts <- feature_repo, spark_jobs, model, dags; contracts, model <- serving."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("feature_repo", "spark_jobs", "model", "serving", "dags")
CONTRACTS = "feature_repo.contracts"
DAYS = "feature_repo.embedding_days"

ARROWS = {
    CONTRACTS: {CONTRACTS},
    "feature_repo": {CONTRACTS, "feature_repo"},
    "spark_jobs": {CONTRACTS, "spark_jobs", "feature_repo.point_in_time", "feature_repo.store", DAYS},
    "model": {CONTRACTS, "model"},
    "serving": {CONTRACTS, "model", "serving", "feature_repo.online", DAYS},
    "dags": {CONTRACTS, "dags", "operators"},
}
"""What the files of a folder may import of ours. Spark jobs reach feature_repo for Feast's point-in-time join
alone, serving for its online lookup, both to know which days have embeddings."""

SPARK_JOBS_WITH_THE_MODEL = ("spark_jobs/embed_users.py", "spark_jobs/export_audience.py")
PETASTORM_FILES = ("model/data.py", "model/petastorm_compat.py")
MODEL_NEEDS_NONE_OF = {"pyspark", "feast", "pymilvus", "milvus_lite", "airflow", "fastapi"}
HEAVY = ("torch", "transformers", "pyspark", "feast", "pymilvus", "fastapi", "airflow", "pandas", "numpy")


def sources(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def imports_of(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever in the file; relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            names |= {f"{module}.{alias.name}" for alias in node.names} if module in OURS else {module}
    return names


def within(module: str, allowed: set[str]) -> bool:
    return any(module == root or module.startswith(root + ".") for root in allowed)


def layer(path: Path) -> str:
    name = str(path.relative_to(ROOT))
    return CONTRACTS if name.startswith("feature_repo/contracts/") else name.split("/")[0]


def breaks(path: Path) -> set[str]:
    """The imports of ours that a file's layer may not have."""
    allowed = ARROWS[layer(path)]
    if str(path.relative_to(ROOT)) in SPARK_JOBS_WITH_THE_MODEL:
        allowed = allowed | {"model"}
    ours = {m for m in imports_of(path) if m.split(".")[0] in (*OURS, "operators")}
    return {m for m in ours if not within(m, allowed)}


@pytest.mark.parametrize("folder", OURS)
def test_a_folder_imports_only_along_the_arrows(folder):
    assert sources(folder)
    assert {str(p.relative_to(ROOT)): b for p in sources(folder) if (b := breaks(p))} == {}


def test_contracts_import_nothing_that_is_installed_but_what_reads_yaml():
    """A lake and its scenarios are described in YAML; Airflow has it too."""
    for path in sources("feature_repo/contracts"):
        outside = {m.split(".")[0] for m in imports_of(path) if not within(m, {CONTRACTS})} - set(
            sys.stdlib_module_names
        )
        assert outside <= {"yaml"}, path


def test_the_model_trains_where_spark_feast_and_milvus_are_not_installed():
    for path in sources("model"):
        assert not {m.split(".")[0] for m in imports_of(path)} & MODEL_NEEDS_NONE_OF, path


@pytest.mark.parametrize("module", ["model.scan", "model.scores"])
def test_a_worker_of_the_scan_needs_no_torch(module):
    script = f"import sys, {module}; print(*sorted({{'torch', 'transformers', 'pyspark'}} & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert (loaded.returncode, loaded.stdout.split()) == (0, []), loaded.stderr


def test_petastorm_is_imported_by_its_reader_only():
    for folder in OURS:
        for path in sources(folder):
            if "petastorm" in {m.split(".")[0] for m in imports_of(path)}:
                assert str(path.relative_to(ROOT)).startswith(PETASTORM_FILES)


def test_a_dag_file_names_no_engine():
    for path in sources("dags"):
        assert not {m.split(".")[0] for m in imports_of(path)} & {"torch", "pyspark", "feast", "pandas", "numpy"}, path


@pytest.mark.parametrize("module", ["serving.cli", "feature_repo.contracts.steps"])
def test_the_command_line_starts_without_anything_heavy(module):
    script = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert (loaded.returncode, loaded.stdout.split()) == (0, []), loaded.stderr


def test_a_broken_arrow_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    for name, line in {
        "model/a.py": "from serving.index import Index",
        "spark_jobs/b.py": "def f():\n    import model.batch",
        "spark_jobs/e.py": "from feature_repo.definitions import user",
        "serving/c.py": "from spark_jobs import session",
        "feature_repo/contracts/d.py": "from feature_repo.store import apply",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(line)
        assert breaks(tmp_path / name), name
