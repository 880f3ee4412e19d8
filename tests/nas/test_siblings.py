"""Folders with common names must not stand in for our packages unnoticed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.siblings import check_siblings

ROOT = Path(__file__).resolve().parents[2]


def import_nas(cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``import nas`` in a folder, which `python -c` puts first on the path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run(
        [sys.executable, "-c", "import nas"], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_this_installation_passes() -> None:
    check_siblings()


@pytest.mark.parametrize("name", ["controllers", "latency", "search_spaces"])
def test_import_names_the_folder_that_shadows_a_package(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    result = import_nas(tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"nas.siblings.ShadowedPackageError: package '{name}' should come from {ROOT / name}, but "
        f"{(tmp_path / name).resolve()} comes first on Python's path; rename that folder or start Python elsewhere"
    )


def test_import_names_the_file_that_shadows_a_package(tmp_path: Path) -> None:
    (tmp_path / "latency.py").touch()
    assert f"but {(tmp_path / 'latency.py').resolve()} comes first" in import_nas(tmp_path).stderr
