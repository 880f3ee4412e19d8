"""The wheel: what people install holds the four packages and their data, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("controllers", "latency", "nas", "search_spaces")
NOT_SHIPPED = {".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel built from a copy: building leaves folders behind, and takes up what old ones hold."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in ("tests", "experiments", "docs", "runs"):  # folders that must stay out
        (source / name).mkdir()
        (source / name / "__init__.py").touch()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def shipped(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_wheel_holds_the_files_of_the_four_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in NOT_SHIPPED
    }
    assert shipped(wheel) == here


@pytest.mark.parametrize(
    "name",
    [
        "latency/devices/host.yaml",
        "latency/devices/pixel1.yaml",
        "latency/devices/pixel3.yaml",
        "latency/tables/pixel2.lut",
        "nas/dashboards/datasource.yml",
        "nas/dashboards/grafana.ini",
        "nas/dashboards/nas-search.json",
        "nas/dashboards/prometheus.yml",
        "nas/dashboards/provider.yml",
        "nas/page/adapt.html",
        "nas/page/card.md",
        "nas/page/report.css",
        "nas/page/report.html",
        "nas/page/report.js",
        "nas/page/train.html",
        "nas/py.typed",
        "search_spaces/spaces/mnasnet.yaml",
        "search_spaces/spaces/mnasnet_small.yaml",
        "search_spaces/spaces/mobilenet_v3.yaml",
    ],
)
def test_wheel_holds_the_data_that_the_packages_read(wheel: zipfile.ZipFile, name: str) -> None:
    assert name in shipped(wheel)


def test_wheel_holds_the_pixel1_table(wheel: zipfile.ZipFile) -> None:
    assert [name for name in shipped(wheel) if name.startswith("latency/tables/pixel1.")]


def test_wheel_installs_the_commands(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    parser = ConfigParser()
    parser.read_string(wheel.read(path).decode())
    assert dict(parser["console_scripts"]) == {
        "nas-adapt": "nas.commands.adapt:main",
        "nas-build-lut": "nas.commands.build_lut:main",
        "nas-export": "nas.commands.export:main",
        "nas-latency": "nas.commands.latency:main",
        "nas-report": "nas.commands.report:main",
        "nas-search": "nas.commands.search:main",
        "nas-train": "nas.commands.train:main",
    }
    for target in parser["console_scripts"].values():
        module, function = target.split(":")
        assert f"def {function}(" in wheel.read(f"{module.replace('.', '/')}.py").decode()


def test_wheel_carries_its_licence(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert "Apache License" in wheel.read(path).decode()
