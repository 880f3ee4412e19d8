"""A Ray that this process is connected to, and how much room its nodes have."""

import atexit
import functools
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray

from nas.ray_setup import has_token
from nas.siblings import SIBLINGS
from search_spaces import InputError

ROOM_SECONDS = 5.0  # between two looks at how much room the cluster has
SILENT_SECONDS = 5.0  # between two tries to reach the head; three in vain, and it is missed


@dataclass(frozen=True, slots=True)
class Placement:
    """Where trials run: how many at a time, and what each may use."""

    workers: int | None  # None: as many as the cluster has room for, at any moment
    cpus_per_trial: int
    gpus_per_trial: float = 0.0
    deadline_seconds: float | None = None  # of a trial; None: see `TrialClock.deadline`


@contextmanager
def ray_cluster(address: str | None) -> Iterator[str]:
    """Start Ray on this machine, or join the cluster at ``address``; yields the dashboard's address."""
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the run folder is the record
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "RAY_AIR_NEW_OUTPUT": "0",  # the older one keeps silent when asked to
        "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    }
    if (
        address is None
    ):  # where memory runs out, the kernel ends a worker: Tune takes its end, and not Ray's own, as such
        quiet["RAY_memory_monitor_refresh_ms"] = "0"
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial is a line in the record, not a page here
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        context = ray.init(
            address=address or "local",
            runtime_env={"working_dir": _code()} if address else None,
            include_dashboard=None if address else True,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError) as error:
        if address is None:
            raise
        there = "" if has_token() else ", where there is none"
        raise InputError(
            f"cannot join a Ray cluster at {address}; start one with: ray start --head. If its head asks for a token, "
            f"what ray get-auth-token prints there belongs into ~/.ray/auth_token here{there}"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray took it, and would end the process where it stands
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()


def head_address() -> str:
    """Give the address of the head of the cluster that this process is connected to."""
    return str(ray.get_runtime_context().gcs_address)


@contextmanager
def missed(address: str, say: Callable[[], None], seconds: float = SILENT_SECONDS) -> Iterator[None]:
    """Call ``say`` from a thread each time that nobody answers at ``address`` any more.

    Where the head stays away for a minute, Ray ends this process where it stands: nothing can be said then.
    """
    host, _, port = address.rpartition(":")
    over = threading.Event()

    def watch() -> None:
        failures = 0
        while not over.wait(seconds):
            failures = 0 if _answers(host.strip("[]"), int(port), seconds) else failures + 1
            if failures == 3:
                say()

    thread = threading.Thread(target=watch, name="head", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _answers(host: str, port: int, seconds: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


@functools.cache
def _code() -> str:
    """Copy our packages into one folder, which a cluster's nodes get; what we import must be installed there."""
    folder, home = Path(tempfile.mkdtemp(prefix="nas-code-")), Path(__file__).parent.parent
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("nas", *SIBLINGS):
        shutil.copytree(home / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return str(folder)


def check_resources(placement: Placement) -> None:
    """Raise ``InputError`` if no trial could ever start, which Tune would wait for without a word."""
    cluster = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, needed in (("CPU", placement.cpus_per_trial), ("GPU", placement.gpus_per_trial)):
        if needed > cluster.get(name, 0):
            raise InputError(f"a trial asks for {needed:g} {name}, and the Ray cluster has {cluster.get(name, 0):g}")
    if not room(placement):
        wanted = f"{placement.cpus_per_trial:g} CPU and {placement.gpus_per_trial:g} GPU"
        raise InputError(f"a trial asks for {wanted}, and no single node of the Ray cluster has them")


class Room:
    """How many trials the cluster can run at a time; nodes join and leave."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._looked = float("-inf")
        self._workers = placement.workers or 1

    def workers(self) -> int:
        """Look now and then, where no number was asked for."""
        if self._placement.workers is None and time.monotonic() - self._looked > ROOM_SECONDS:
            self._looked = time.monotonic()
            self._workers = max(1, room(self._placement))
        return self._workers


def room(placement: Placement) -> int:
    """Say how many such trials the nodes of the cluster can run at a time."""
    needed = {"CPU": float(placement.cpus_per_trial), "GPU": placement.gpus_per_trial}
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    fits = [[int(has.get(name, 0) / need + 1e-9) for name, need in needed.items() if need] for has in alive]
    return sum(min(counts) for counts in fits)
