"""Files for watching a search with Prometheus and Grafana, and what to start with them.

Grafana's panels show up inside Ray's dashboard. That has two places for whole Grafana dashboards: one for Ray's own
figures, and one for Ray Data's, which a search does not use. The second one is told to show ours.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, MutableMapping
from importlib.resources import files
from pathlib import Path
from string import Template

DASHBOARD = "nas-search.json"
PROMETHEUS, GRAFANA = "127.0.0.1:9090", "127.0.0.1:3000"
_RAY_DASHBOARD = "default_grafana_dashboard.json"


def write_monitoring(run: Path, environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Write a run's ``monitoring`` folder, and give the lines that say what to start.

    A Ray that this process starts afterwards takes from ``environment`` where Prometheus and Grafana are. For one that
    runs already, the lines say what it is to be started with.
    """
    folder = run.resolve() / "monitoring"
    ray = Path(environment.get("RAY_TMPDIR") or "/tmp") / "ray"
    grafana = folder / "grafana"
    for made in ("dashboards", "provisioning/datasources", "provisioning/dashboards", "data"):
        (grafana / made).mkdir(parents=True, exist_ok=True)
    values = {
        "targets": json.dumps(str(ray / "session_latest" / "prom_metrics_service_discovery.json")),
        "folder": str(grafana),
        "prometheus": f"http://{PROMETHEUS}",
    }
    for source, target in [
        ("prometheus.yml", folder / "prometheus.yml"),
        ("grafana.ini", grafana / "grafana.ini"),
        ("datasource.yml", grafana / "provisioning/datasources/nas-search.yml"),
        ("provider.yml", grafana / "provisioning/dashboards/nas-search.yml"),
    ]:
        target.write_text(Template(shipped(source)).substitute(values), encoding="utf-8")
    (grafana / "dashboards" / DASHBOARD).write_text(shipped(DASHBOARD), encoding="utf-8")
    link = grafana / "dashboards" / _RAY_DASHBOARD  # Ray's own figures, written by Ray when it starts
    link.unlink(missing_ok=True)
    link.symlink_to(ray / "session_latest/metrics/grafana/dashboards" / _RAY_DASHBOARD)
    for name, value in ray_variables().items():
        environment.setdefault(name, value)
    return _lines(folder)


def ray_variables() -> dict[str, str]:
    """Give what Ray's head must have in its environment to show the panels."""
    return {
        "RAY_PROMETHEUS_HOST": f"http://{PROMETHEUS}",
        "RAY_GRAFANA_HOST": f"http://{GRAFANA}",
        "RAY_GRAFANA_DATA_DASHBOARD_UID": json.loads(shipped(DASHBOARD))["uid"],
    }


def shipped(name: str) -> str:
    """Read a file that comes with the package."""
    return (files("nas") / "dashboards" / name).read_text(encoding="utf-8")


def _lines(folder: Path) -> list[str]:
    where = shlex.quote(str(folder))
    variables = " ".join(f"{name}={value}" for name, value in ray_variables().items())
    return [
        "to watch it in Grafana, start these two; the panels are then in Ray's dashboard, under Metrics, Ray Data:",
        f"  prometheus --config.file={where}/prometheus.yml --storage.tsdb.path={where}/prometheus "
        f"--web.listen-address={PROMETHEUS}",
        f"  grafana server --homepath /usr/share/grafana --config {where}/grafana/grafana.ini",
        f"  (a cluster of --ray-address shows them if its head was started with: {variables} ray start --head)",
    ]


def dashboard_line(address: str, environment: Mapping[str, str] = os.environ) -> str:
    """Say where Ray's dashboard is, and how to log in where it asks for a token."""
    if environment.get("RAY_AUTH_MODE", "").lower() != "token":
        return f"Ray dashboard: {address}"
    here = str(Path(sys.executable).with_name("ray"))
    command = "ray" if shutil.which("ray") == here else shlex.quote(here)
    return f"Ray dashboard: {address} (it asks for a token, which this prints: {command} get-auth-token)"
