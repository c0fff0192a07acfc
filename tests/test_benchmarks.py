"""What a benchmark imports of the project is there: it is run by hand, and seldom."""

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("feature_repo", "model", "serving", "spark_jobs")
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path):
    taken = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    ours = [(node.module, name.name) for node in taken if node.module for name in node.names]
    missing = [
        f"{module}.{name}" for module, name in ours if module.split(".")[0] in OURS and not is_there(module, name)
    ]
    assert missing == []


def is_there(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name) or find_spec(f"{module}.{name}") is not None
