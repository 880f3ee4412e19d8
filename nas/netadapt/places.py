"""Where proposals are judged."""

from dataclasses import dataclass

from nas.environment import available_cores
from nas.loop import run_in_process
from nas.netadapt.adapt import Adaptation
from nas.netadapt.fine_tuning import FineTuning
from nas.ray_setup import prepare
from search_spaces import InputError


@dataclass(frozen=True, slots=True)
class Places:
    """So many workers on Ray, or this process where there is but one; each with its threads and share of a GPU."""

    workers: int
    threads: int = 1
    gpus_per_trial: float = 0.0

    @property
    def device(self) -> str:
        """Name torch's device."""
        return "cuda" if self.gpus_per_trial else "cpu"

    def check(self) -> None:
        """Raise ``InputError`` if this machine cannot run them."""
        needed, cores = max(1, self.workers) * self.threads, available_cores()
        if needed > cores:
            raise InputError(
                f"{max(1, self.workers)} workers with {self.threads} threads each need {needed} cores, and this "
                f"machine has {cores}; ask for fewer with --workers"
            )
        if self.gpus_per_trial:
            import torch

            if not torch.cuda.is_available():
                raise InputError("--gpus-per-trial needs a GPU that torch can use, and there is none; leave it away")

    def run(self, adaptation: Adaptation, judge: FineTuning) -> None:
        """Judge proposals until the adaptation is done."""
        if self.workers <= 1:
            run_in_process(adaptation, lambda candidate: judge(candidate.arch, candidate.key))
            return
        prepare(None)
        from nas.ray_cluster import Placement, ray_cluster
        from nas.ray_trials import run_on_ray  # ray takes seconds to import

        with ray_cluster(None):
            run_on_ray(adaptation, judge, Placement(self.workers, self.threads, self.gpus_per_trial))
