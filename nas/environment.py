"""What a run was made with: versions, commit, machine."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("nas-mobile", "torch", "ray", "numpy", "onnx", "onnxruntime", "scikit-learn", "pillow")


def describe_environment() -> dict[str, Any]:
    """Describe this program and machine as plain data; nothing that names a person or a host."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(Path(__file__).parent),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": available_cores(),
    }


def available_cores() -> int:
    """Count the cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """Give the commit of a source checkout; None for an installed package or without git."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
