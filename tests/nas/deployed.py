"""Networks to export in tests: trained ones of each task, small enough, and ones made to look trained."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from nas.classification import Classification
from nas.data import load_data
from nas.deploy.deployable import DeployableClassifier, DeployableDetector, DeployableSegmenter
from nas.detection import Detection, DetectionData
from nas.fitting import fit_task
from nas.network import Network
from nas.recipe import Recipe
from nas.schedule import preset
from nas.segmentation import Segmentation, SegmentationData
from nas.tasks import Task
from nas.training import train
from search_spaces import Arch, Block, Head, SqueezeExcite, Stem, reference
from search_spaces.detection import ssdlite
from search_spaces.segmentation import Segmenter

_GATE = SqueezeExcite(8, "hard_sigmoid")
TINY = Arch(
    "tiny",
    8,
    10,
    Stem(8, stride=1, activation="hswish"),
    (
        Block("mbconv", 16, 3, 2, expanded=24, se=_GATE, activation="hswish"),
        Block("mbconv", 16, 5, 1, expanded=48, se=_GATE, activation="hswish", skip="identity"),
    ),
    Head(32, 24, "hswish"),
)
_SCHEDULE = replace(preset("small"), epochs=8, least_steps=0, batch_size=8)


def as_if_trained(model):
    """Give every batch norm and the normalisation values that matter; fold one of them wrongly and outputs differ."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.8, 1.25)
            nn.init.normal_(module.bias, std=0.2)
    model.normalise.mean.copy_(torch.tensor([0.5, 0.4, 0.3]).reshape(3, 1, 1))
    model.normalise.std.copy_(torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1))
    return model.eval()


def classifier() -> DeployableClassifier:
    """A classifier of handwritten digits, trained for two epochs."""
    data = load_data("digits", 8)
    task = Classification(TINY, data)
    model = train(TINY, data, Recipe(epochs=2, flip=False), 0, threads=1).model
    assert isinstance(model, Network)
    return DeployableClassifier(task, model.eval())


def detector() -> DeployableDetector:
    """A detector of red squares in noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (20, 64, 64, 3)).astype(np.uint8)
    boxes = []
    for image in images:
        left, top = rng.integers(0, 32, 2)
        image[top : top + 32, left : left + 32, 0] = 220
        boxes.append(np.array([[left, top, left + 32, top + 32]], np.float32) / 64)
    nought = tuple(np.zeros(1, np.int64) for _ in images)
    easy = tuple(np.zeros(1, np.bool_) for _ in images)
    data = DetectionData(images, tuple(boxes), nought, easy, np.arange(16), np.arange(16, 20), ("square",), "squares")
    task = Detection(ssdlite(reference("mobilenet_v3_small", 0.35, resolution=64, classes=1), 1), data)
    return DeployableDetector(task, _trained(task))


def segmenter() -> DeployableSegmenter:
    """A segmenter of images that are red on the left and blue on the right."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (20, 32, 48, 3)).astype(np.uint8)
    masks = np.zeros((20, 32, 48), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        border = int(rng.integers(12, 36))
        image[:, :border, 0] += 150
        image[:, border:, 2] += 150
        mask[:, border:] = 1
    data = SegmentationData(images, masks, np.arange(14), np.arange(14, 20), ("red", "blue"), "colours")
    task = Segmentation(Segmenter(reference("mobilenet_v3_small", 0.35), 2, 32, 48, filters=16), data)
    return DeployableSegmenter(task, _trained(task))


def _trained(task: Task):
    return fit_task(task, _SCHEDULE, 0, threads=1).model.cpu().eval()
