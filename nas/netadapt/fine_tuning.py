"""Judge a proposal: inherit the current network's weights, fine-tune them a little, measure the accuracy."""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from nas.children import outcome_of
from nas.classifier_file import save_classifier
from nas.data import ImageData
from nas.data.image_data import fingerprint
from nas.data.split import split
from nas.netadapt.folder import AdaptFolder
from nas.netadapt.truncate import Keep, truncated
from nas.network import build
from nas.recipe import Recipe
from nas.search import Outcome, child_seed
from nas.training import Trained, fit, torch_state
from search_spaces import Arch


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Judges the proposals of a run in ``folder``, by their keys (`nas.netadapt.adapt.proposal_key`).

    ``trained`` is the seed as it was trained, strides and all. The validation images of ``data`` are the held-out ones.
    A proposal's randomness comes from ``seed`` and its key alone: its accuracy depends neither on the order in which
    proposals are judged nor on the worker that does it.
    """

    folder: AdaptFolder
    trained: Arch
    data: ImageData
    recipe: Recipe
    steps: int
    keep: Keep
    seed: int
    threads: int
    device: str = "cpu"

    def __call__(self, arch: Arch, key: str) -> Outcome:
        """Judge one. A network that diverges is an outcome with its error."""
        return outcome_of(lambda: self._fine_tuned(arch, key))

    def _fine_tuned(self, arch: Arch, key: str) -> Trained:
        before = self.folder.load_base(key)
        after = as_trained(arch, self.trained)
        seed = child_seed(self.seed, key)
        with torch_state(seed, self.device, self.threads):
            model = build(after, dropout=self.recipe.dropout, batch_norm_momentum=self.recipe.batch_norm_momentum)
        model.load_state_dict(truncated(before.arch, after, before.weights, self.keep))
        data, recipe = limited(self.data, self.recipe, self.steps, seed)
        trained = fit(model, data, recipe, seed, device=self.device, threads=self.threads)
        save_classifier(self.folder.weights_of(key), after, data, recipe, trained)
        return trained


def as_trained(arch: Arch, trained: Arch) -> Arch:
    """Give a network the resolution, the classes and the strides with which the seed was trained."""
    blocks = [replace(block, stride=seen.stride) for block, seen in zip(arch.blocks, trained.blocks, strict=True)]
    stem = replace(arch.stem, stride=trained.stem.stride)
    return replace(arch, resolution=trained.resolution, classes=trained.classes, stem=stem, blocks=tuple(blocks))


def hold_out(data: ImageData, share: float) -> ImageData:
    """Take a share of the training images, of every class, out of them, to validate with; the validation images go.

    ``InputError`` where a class has fewer than two training images.
    """
    rest, held = split(data.labels[data.train], data.classes, seed=0, validation_share=share)
    train, validation = data.train[rest], data.train[held]
    seen = fingerprint(data.fingerprint, data.labels, data.classes, train, validation)
    return replace(data, train=train, validation=validation, fingerprint=seen)


def limited(data: ImageData, recipe: Recipe, steps: int, seed: int) -> tuple[ImageData, Recipe]:
    """Fit data and recipe to a number of steps: epochs of equal length, on as many of the images as they need.

    There are at most as many more steps as there are epochs.
    """
    epochs = ceil(steps / recipe.steps_per_epoch(len(data.train)))
    images = min(ceil(steps / epochs) * recipe.batch_size, len(data.train))
    chosen = np.random.default_rng(seed).permutation(data.train)[:images]
    return replace(data, train=np.sort(chosen)), replace(recipe, epochs=epochs, least_steps=0)
