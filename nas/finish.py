"""The end of a search: choose the seed, train it longer, export and time it, write the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latency import Timing, time_network, time_onnx
from nas.classifier_file import save_classifier
from nas.config import SearchConfig
from nas.data import ImageData
from nas.environment import available_cores
from nas.export import check_onnx, export_onnx
from nas.run_folder import RunFolder
from nas.search import Trial, child_seed
from nas.seed import FinalTraining, seed_file
from nas.training import Trained, train
from search_spaces import SearchSpace, proxy_arch

ONNX_TOLERANCE = 1e-4  # largest difference of a logit between torch and ONNX Runtime
CHECKED_IMAGES = 32


def finish(
    run: RunFolder,
    seed: Trial,
    space: SearchSpace,
    config: SearchConfig,
    data: ImageData,
    on_epoch: Callable[[int, int], None],
) -> FinalTraining:
    """Train the seed from scratch with the long recipe, export and time it; write ``seed.yaml``, ``.pt`` and ``.onnx``.

    The exported file is the network as trained, at the proxy task's size. Its host time stands beside that of the
    network as deployed (the space's resolution and classes), the one that the table's figure is about.
    """
    arch = space.decode(seed.tokens)
    run.write_seed(seed_file(seed, arch, config))  # first the architecture: what follows takes minutes
    child = proxy_arch(arch, config.proxy.resolution, len(data.classes), config.proxy.smallest_map)
    recipe = config.final
    epochs = recipe.epochs_for(len(data.train))
    trained = train(
        child,
        data,
        recipe,
        child_seed(config.seed, seed.key),
        device="cuda" if config.gpus_per_trial else "cpu",
        threads=available_cores(),
        on_epoch=lambda epoch, loss: on_epoch(epoch, epochs),
    )
    save_classifier(run.path / "seed.pt", child, data, recipe, trained)  # what nas-adapt starts from
    difference = _export(trained, run.path / "seed.onnx", data)
    proxy, deployed = time_onnx(run.path / "seed.onnx"), time_network(arch)
    result = FinalTraining(trained.accuracy, difference, proxy.median_ms, deployed.median_ms)
    final = {
        "accuracy": trained.accuracy,
        "epochs": epochs,
        "seconds": round(trained.seconds, 1),
        "train_images": len(data.train),
        "validation_images": len(data.validation),
        "resolution": config.proxy.resolution,
        "onnx_largest_difference": difference,
    }
    host = {"runtime": "onnxruntime, 1 thread", "deployed_ms": _timing(deployed), "proxy_ms": _timing(proxy)}
    run.write_seed(seed_file(seed, arch, config) | {"final": final, "host": host})
    return result


def recorded_finish(run: RunFolder, seed: Trial) -> FinalTraining | None:
    """Give what `finish` wrote before, if it was for this seed network: a finished run is not trained again."""
    file = run.read_seed()
    if file is None or file.get("trial") != seed.trial or not (run.path / "seed.onnx").is_file():
        return None
    try:
        final, host = file["final"], file["host"]
        times = float(host["proxy_ms"]["median"]), float(host["deployed_ms"]["median"])
        return FinalTraining(float(final["accuracy"]), float(final["onnx_largest_difference"]), *times)
    except (KeyError, TypeError, ValueError):  # not written to its end
        return None


def _export(trained: Trained, path: Path, data: ImageData) -> float:
    """Write the ONNX file and compare its logits with torch's on validation images."""
    model = trained.model.cpu().eval()
    export_onnx(model, path)
    difference = check_onnx(model, path, data.images[data.validation[:CHECKED_IMAGES]])
    if difference > ONNX_TOLERANCE:
        raise RuntimeError(f"{path.name} differs from torch by {difference:.2g}, more than {ONNX_TOLERANCE:g}")
    return difference


def _timing(timing: Timing) -> dict[str, Any]:
    return {"median": timing.median_ms, "p10": timing.p10_ms, "p90": timing.p90_ms, "runs": timing.runs}
