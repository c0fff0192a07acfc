"""What a method's answers depend on: every file of this package that its own file imports, directly or not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import model

PACKAGE = Path(next(iter(model.__path__)))


def sources(*names: str) -> tuple[Path, ...]:
    """The files of these modules and of all that they import from `model`, by path."""
    found: set[Path] = set()
    pending = [path for name in names for path in _files(name)]
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending += [other for name in _imported(path) for other in _files(name)]
    return tuple(sorted(found))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str) -> list[Path]:
    """The file of a module, of a package its __init__; none for what is neither, or is not ours."""
    first, *rest = name.split(".")
    if first != PACKAGE.name or not rest:
        return []
    path = PACKAGE.joinpath(*rest)
    return [each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()]
