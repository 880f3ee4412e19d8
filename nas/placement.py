"""Where trials run: how many at a time, with how many cores each."""

from nas.config import SearchConfig
from nas.environment import available_cores
from search_spaces import InputError


def workers_and_cpus(config: SearchConfig) -> tuple[int | None, int]:
    """Give the number of trials at a time and the cores of each; by default one core each, as many as there are.

    Two children on one core each train faster than one on two (experiments/throughput). None: as many as the cluster
    has room for.
    """
    if config.ray_address is not None:
        return config.workers, config.cpus_per_trial or 1
    workers = config.workers or max(1, available_cores() // (config.cpus_per_trial or 1))
    return workers, config.cpus_per_trial or max(1, available_cores() // workers)


def check_placement(config: SearchConfig) -> None:
    """Raise ``InputError`` if this machine cannot run so many trials at a time; of a cluster, Ray knows."""
    if config.ray_address is not None:
        return
    workers, cpus = workers_and_cpus(config)
    cores = available_cores()
    assert workers is not None  # of this machine
    if workers * cpus > cores:
        raise InputError(
            f"{workers} workers with {cpus} cores each need {workers * cpus}, and this machine has {cores}; "
            "ask for fewer with --workers, or give a cluster with --ray-address"
        )
    if config.gpus_per_trial:
        import torch

        if config.gpus_per_trial > torch.cuda.device_count():
            raise InputError(
                f"a trial asks for {config.gpus_per_trial:g} GPU, and this machine has {torch.cuda.device_count()} "
                "that torch can use; leave --gpus-per-trial away, or give a cluster with --ray-address"
            )
