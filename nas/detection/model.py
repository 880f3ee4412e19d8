"""Detectors in torch: `build_detector` turns a `Detector` into a module, by the walk that also counts it.

Names in a ``state_dict``: ``normalise``, ``stem``, ``blocks`` and ``head`` as in `nas.network`, so that a
classification network's weights fit; ``extras.<i>.<0|1>.<role>``, ``boxes.<i>.<role>`` and ``scores.<i>.<role>``.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from nas.detection.anchors import anchors_of
from nas.detection.boxes import decode
from nas.network import OUTPUT, OpModule, build, initialise
from search_spaces.detection import BOX_CODES, Detector, detection_walk, strided_conv

_PREDICTOR_DEVIATION = 0.01  # Lin et al. 2017, section 4.1
_FIRST_PROBABILITY = 0.01  # of every class at the start; its logit is -4.6 (Lin et al. 2017, section 4.1)


def build_detector(detector: Detector) -> "DetectionNetwork":
    """Build a detector with fresh weights, drawn from torch's global generator."""
    network = DetectionNetwork(detector)
    initialise(network)
    for convolution in (_last_of(predictor) for predictor in (*network.boxes, *network.scores)):
        nn.init.normal_(convolution.weight, std=_PREDICTOR_DEVIATION)
    for convolution in map(_last_of, network.scores):
        assert convolution.bias is not None  # a predictor's has one
        nn.init.constant_(convolution.bias, -math.log(1 / _FIRST_PROBABILITY - 1))
    return network


class DetectionNetwork(nn.Module):
    """From float images in [0, 1], (batch, 3, side, side), to class logits and box codes of every anchor.

    ``logits``: (batch, anchors, slots), slot 0 the background's. ``codes``: (batch, anchors, 4), which `decode` turns
    into boxes by the buffer ``anchors``.
    """

    anchors: Tensor

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        walk = detection_walk(detector)
        backbone = build(detector.backbone)
        self.normalise, self.stem = backbone.normalise, backbone.stem
        self.blocks, self.head = backbone.blocks, backbone.head
        self.extras = nn.ModuleList([nn.Sequential(*[OpModule(op) for op in pair]) for pair in walk.extras])
        self.boxes = nn.ModuleList([OpModule(op) for op in walk.boxes])
        self.scores = nn.ModuleList([OpModule(op) for op in walk.scores])
        self.tapped_role = _role_before_stride(cast(OpModule, self.blocks[detector.tap]))
        self.register_buffer("anchors", anchors_of(detector), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.maps(images)
        logits = [
            _by_anchor(predict(x), self.detector.class_slots) for predict, x in zip(self.scores, maps, strict=True)
        ]
        codes = [_by_anchor(predict(x), BOX_CODES) for predict, x in zip(self.boxes, maps, strict=True)]
        return torch.cat(logits, dim=1), torch.cat(codes, dim=1)

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give class logits, and boxes by their corners, (batch, anchors, 4), as shares of the image's sides."""
        logits, codes = self(images)
        return logits, decode(codes.float(), self.anchors)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Give the feature maps that the predictors look at: C4, C5, those of the extra layers."""
        x = self.stem(self.normalise(images))
        found = []
        for index, block in enumerate(self.blocks):
            if index == self.detector.tap:
                inside = cast(OpModule, block).maps(x)
                found.append(inside[self.tapped_role] if self.tapped_role != OUTPUT else x)
                x = inside[OUTPUT]
            else:
                x = block(x)
        found.append(self.head(x))
        for extra in self.extras:
            found.append(extra(found[-1]))
        return found


def _role_before_stride(block: OpModule) -> str:
    """Name the layer of a block that makes the map which its stride ends; ``OUTPUT`` if that is the block's input."""
    roles = [OUTPUT, *block.roles]
    return roles[block.roles.index(strided_conv(block.op).role)]


def _last_of(predictor: nn.Module) -> nn.Conv2d:
    return cast(nn.Conv2d, predictor.get_submodule("predict"))


def _by_anchor(x: Tensor, outputs: int) -> Tensor:
    """Turn a map, (batch, anchors * outputs, height, width), into (batch, height * width * anchors, outputs)."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, outputs)
