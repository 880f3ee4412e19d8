"""Who imports whom: the picture in docs/architecture.md, read from every file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"search_spaces", "latency", "controllers", "nas", "experiments", "tests"}
MAY_IMPORT = {
    "search_spaces": {"search_spaces"},
    "latency": {"latency", "search_spaces"},
    "controllers": {"controllers", "search_spaces"},
    "nas": {"nas", "latency", "controllers", "search_spaces"},
}
HEAVY = {"torch", "ray"}
FILES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """All that a file imports, wherever in it, by full name: ``a.b.c`` for ``from a.b import c``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_files_to_look_at() -> None:
    assert {name_of(path).split("/")[0] for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_only_and_are_written_in_full(path: Path) -> None:
    assert roots(path) & OURS <= MAY_IMPORT[path.relative_to(ROOT).parts[0]]
    assert "" not in roots(path), "a relative import hides whom a file depends on"


def test_controllers_know_no_architecture() -> None:
    files = [path for path in FILES if path.is_relative_to(ROOT / "controllers")]
    taken = {name for path in files for name in imports(path) if name.split(".")[0] == "search_spaces"}
    assert taken <= {"search_spaces.InputError"}


def test_spaces_and_latency_need_neither_torch_nor_ray() -> None:
    files = [path for path in FILES if path.relative_to(ROOT).parts[0] in ("search_spaces", "latency")]
    assert [name_of(path) for path in files if roots(path) & HEAVY] == []


def test_only_the_files_that_run_trials_import_ray() -> None:
    users = [path for path in FILES if "ray" in roots(path)]
    assert [name_of(path) for path in users if not name_of(path).startswith("nas/ray_")] == []
    assert users, "nothing imports ray: this test looks at the wrong files"


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh Python has after a statement."""
    code = f"{statement}; import sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_spaces_and_latency_loads_nothing_heavy() -> None:
    loaded = loaded_by("import search_spaces, latency")
    assert {"search_spaces", "latency"} <= loaded
    assert loaded & (HEAVY | {"pandas", "scipy", "onnx", "onnxruntime"}) == set()


def test_importing_controllers_does_not_load_ray() -> None:
    assert "ray" not in loaded_by("import controllers")
