"""nas-search: find a seed architecture for a latency target."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nas.commands import shell
from nas.config import FREE_ON_RESUME, SearchConfig, load_config
from search_spaces import InputError

if TYPE_CHECKING:
    from nas.search_run import SearchRun
    from nas.summary import Summary

Option = typer.Option

_FOR_TRAINING = (
    "data",
    "skip_bad_images",
    "workers",
    "gpus_per_trial",
    "cpus_per_trial",
    "deadline_seconds",
    "ray_address",
    "monitoring",
)

TargetMs = Annotated[float | None, Option(help="Latency that the network should have on the device, in ms.")]
Strength = Annotated[
    float | None, Option(help="Strength of the latency in the reward: -0.15 for small targets, -0.07 for large.")
]
Space = Annotated[
    str | None, Option(help="Search space: a shipped name or a YAML file; else the one that suits the target.")
]
Evaluator = Annotated[
    str | None, Option(help="training: on the images; table: accuracies are known, and nothing is trained.")
]
Accuracies = Annotated[str | None, Option(help="For evaluator table: a CSV file with tokens, accuracy and latency_ms.")]
Screen = Annotated[
    int | None, Option(help="Networks that the reward model looks at before each proposal (64); 0: it has no say.")
]
Reward = Annotated[str | None, Option(help="soft, hard (the target is a limit) or absolute (lands on the target).")]
Tolerance = Annotated[float | None, Option(help="Share of the target by which the final choice may miss it (0.02).")]
Deadline = Annotated[
    float | None,
    Option("--deadline", help="Seconds after which a trial is given up; else ten times the longest, at least 600."),
]
RayAddress = Annotated[str | None, Option(help="A running Ray cluster, HOST:PORT or auto; else one is started here.")]
Monitoring = Annotated[
    bool | None,
    Option("--monitoring", help="Write Prometheus's and Grafana's files for this run, and say what to start."),
]


def command(
    context: typer.Context,
    target_ms: TargetMs = None,
    w: Strength = None,
    device: Annotated[str | None, Option(help="Latency table: a shipped name (pixel1) or a file.")] = None,
    space: Space = None,
    data: Annotated[str | None, Option(help="Images: digits, a folder class/name.jpg, or a zip of one.")] = None,
    evaluator: Evaluator = None,
    accuracies: Accuracies = None,
    controller: Annotated[str | None, Option(help="Who proposes networks: reinforce, ppo, evolution, random.")] = None,
    screen: Screen = None,
    reward: Reward = None,
    tolerance: Tolerance = None,
    trials: Annotated[int | None, Option(help="How many networks to propose.")] = None,
    batch: Annotated[int | None, Option(help="Finished trials a policy update.")] = None,
    workers: Annotated[int | None, Option(help="Trials at a time; else one for each core.")] = None,
    gpus_per_trial: Annotated[float | None, Option(help="Share of a GPU that each trial gets, such as 0.25.")] = None,
    cpus_per_trial: Annotated[int | None, Option(help="Cores that each trial gets; else one.")] = None,
    deadline_seconds: Deadline = None,
    ray_address: RayAddress = None,
    monitoring: Monitoring = None,
    seed: shell.Seed = None,
    out: Annotated[Path | None, Option(help="Folder of the run; else runs/<time>-<data>.")] = None,
    config: Annotated[Path | None, Option(help="YAML file with any of these and the proxy task.")] = None,
    resume: shell.Resume = None,
    skip_bad_images: shell.SkipBadImages = None,
    as_json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Search for a network that is accurate on your images and meets a latency target on your device.

    Example: nas-search --target-ms 15 --w -0.15 --trials 60 --data flowers/
    """
    given = shell.given(context)
    _refuse_training(context, given)
    given.pop("monitoring", None)
    console = Console(stderr=as_json, highlight=False, markup=False)
    run = _resumed(resume, given, console) if resume is not None else _begun(given, console)
    if monitoring:
        _monitor(run, console)
    summary = run.complete()
    _print_summary(summary, console)
    if as_json:
        shell.print_json(summary.to_dict())


def _refuse_training(context: typer.Context, given: dict[str, Any]) -> None:
    """Raise ``InputError`` for options that say how to train, where nothing is trained."""
    named = [name for name in _FOR_TRAINING if name in given]
    if named and given.get("evaluator") == "table":
        raise InputError(f"evaluator table trains nothing; leave {shell.words(context, named)} away")


def _monitor(run: "SearchRun", console: Console) -> None:
    from nas.monitoring import write_monitoring

    for line in write_monitoring(run.folder.path):
        console.print(line, soft_wrap=True)


def _begun(given: dict[str, Any], console: Console) -> "SearchRun":
    out, config = given.pop("out", None), given.pop("config", None)
    if config is None and "target_ms" not in given:
        raise InputError("--target-ms is missing: the latency to search for, in ms (or give --config FILE)")
    settings = load_config(config, given).resolved()
    from nas.search_run import begin  # torch takes seconds: help and mistakes in the options need not wait for it

    name = Path(settings.accuracies or settings.data).stem
    path = out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
    return begin(path, settings, console)


def _resumed(folder: Path, given: dict[str, Any], console: Console) -> "SearchRun":
    if "out" in given:
        raise InputError("--resume goes on in the run's own folder; leave --out away")
    from nas.search_run import resume

    config = given.pop("config", None)
    return resume(folder, lambda before: _continued(folder, before, config, given, console), console)


def _continued(
    folder: Path, before: SearchConfig, config: Path | None, flags: dict[str, Any], console: Console
) -> SearchConfig:
    """Join what was asked now with what the run was begun with; refuse what would make it another search.

    A cluster is joined where it is asked for again: whoever made the folder may have named one that runs their code.
    """
    now = load_config(config, flags, before.model_dump(mode="json") | {"ray_address": None}).resolved()
    if before.ray_address is not None and now.ray_address is None:
        console.print(f"this machine trains; the run was begun with --ray-address {before.ray_address}", soft_wrap=True)
    for name in sorted(set(SearchConfig.model_fields) - FREE_ON_RESUME):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            raise InputError(
                f"the run in {folder} was begun with {name} {_short(old)}, not {_short(new)}; "
                f"leave it away to go on, or start a new run with another --out"
            )
    return now


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _print_summary(summary: "Summary", console: Console) -> None:
    for line in summary.lines():
        console.print(line, soft_wrap=True)


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-search")


if __name__ == "__main__":
    main()
