"""Detectors in torch and as ONNX files: sizes, parameters, what they look at, and the same numbers everywhere."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nas.detection import build_detector, check_detector, export_detector
from nas.network import build
from search_spaces import Arch, Block, Head, Stem, reference
from search_spaces.detection import Detector, count_detector, reference_detector, ssdlite
from tests.nas.deployed import as_if_trained

SMALL = "mobilenet_v3_small"


def plain(kernel: int = 3) -> Detector:
    """A network whose strided blocks expand nothing: C4 is a block's input."""
    blocks = tuple(Block("conv", channels, kernel, 2) for channels in (8, 16, 24, 40))
    return ssdlite(Arch("plain", 64, 10, Stem(8, kernel), blocks, Head(64)), classes=2, width=0.1)


def some_images(count: int, side: int) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "detector",
    [
        reference_detector(SMALL, resolution=64),
        reference_detector(SMALL, resolution=64, reduced=True),
        reference_detector("mobilenet_v3_large", 0.5, 64, 3),
        reference_detector("mobilenet_v2", 0.35, 64, 3),
        reference_detector("mnasnet_a1", 0.35, 64, 3),
        plain(),
    ],
    ids=lambda detector: detector.backbone.name,
)
def test_a_module_has_the_parameters_that_are_counted(detector: Detector) -> None:
    model = build_detector(detector)
    assert sum(parameter.numel() for parameter in model.parameters()) == count_detector(detector).params


def test_every_anchor_has_its_logits_and_codes() -> None:
    model = build_detector(reference_detector(SMALL, 0.35, 96, 3)).eval()
    logits, codes = model(some_images(2, 96))
    # maps of 6, 3, 2, 1, 1 and 1 pixels a side: 36 * 3 + (9 + 4 + 1 + 1 + 1) * 6
    assert logits.shape == (2, 204, 4)
    assert codes.shape == (2, 204, 4)
    assert model.anchors.shape == (204, 4)


def test_c4_is_what_the_tapped_blocks_expansion_makes() -> None:
    model = build_detector(reference_detector(SMALL, resolution=64, classes=3)).eval()
    images = some_images(1, 64)
    with torch.inference_mode():
        before = model.blocks[:8](model.stem(model.normalise(images)))
        expected = model.blocks[8].get_submodule("expand")(before)
        found = model.maps(images)
    assert torch.equal(found[0], expected)
    assert [tuple(x.shape[1:]) for x in found[:2]] == [(288, 4, 4), (576, 2, 2)]


@pytest.mark.parametrize(("row", "column", "place"), [(0, 2, [0.625, 0.125]), (3, 1, [0.375, 0.875])])
def test_outputs_come_in_the_order_of_the_anchors(row: int, column: int, place: list[float]) -> None:
    model = build_detector(plain(kernel=1)).eval()
    nn.init.dirac_(model.scores[0].get_submodule("depthwise").conv.weight, groups=24)  # nothing looks beside itself
    dark, lit = torch.zeros(2, 1, 3, 64, 64)
    lit[0, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 1.0  # a pixel of C4
    with torch.inference_mode():
        changed = (model(lit)[0] - model(dark)[0]).abs().amax(dim=-1)[0, : 4 * 4 * 3].nonzero().flatten()
    assert model.anchors[changed, :2].tolist() == [place] * 3


def test_at_first_every_class_is_thought_unlikely() -> None:
    model = build_detector(reference_detector(SMALL, 0.35, 64, 3)).eval()
    with torch.inference_mode():
        logits, _ = model(some_images(2, 64))
    assert logits.mean().item() == pytest.approx(-4.595, abs=0.05)  # ln(0.01 / 0.99)


def test_weights_of_a_classification_network_fit_the_backbone() -> None:
    detector = reference_detector(SMALL, 0.35, 64, 3)
    missing = build_detector(detector).load_state_dict(build(reference(SMALL, 0.35, 64, 3)).state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing.missing_keys} == {"extras", "boxes", "scores"}
    assert {name.split(".")[0] for name in missing.unexpected_keys} == {"hidden", "classifier"}


@pytest.mark.parametrize(
    "detector",
    [reference_detector(SMALL, 0.35, 96, 3), reference_detector("mobilenet_v2", 0.35, 64, 2), plain()],
    ids=lambda detector: detector.backbone.name,
)
def test_onnx_runtime_gives_torchs_logits_and_boxes(detector: Detector, tmp_path: Path) -> None:
    model = as_if_trained(build_detector(detector))
    export_detector(model, tmp_path / "net.onnx")
    side = detector.backbone.resolution
    assert check_detector(model, tmp_path / "net.onnx", some_images(2, side)) < 1e-4


def test_the_check_notices_other_boxes_and_other_logits(tmp_path: Path) -> None:
    model = as_if_trained(build_detector(plain()))
    export_detector(model, tmp_path / "net.onnx")
    model.anchors[0, 0] += 0.25
    with pytest.raises(RuntimeError, match=r"net\.onnx differs from torch by 0\.25, more than"):
        check_detector(model, tmp_path / "net.onnx", some_images(1, 64))
    model.anchors[0, 0] -= 0.25
    with torch.no_grad():
        model.scores[1].get_submodule("predict").bias[4] += 1.0
    with pytest.raises(RuntimeError, match=r"net\.onnx differs from torch by 1, more than"):
        check_detector(model, tmp_path / "net.onnx", some_images(1, 64))


def test_the_file_takes_batches_of_any_size(tmp_path: Path) -> None:
    export_detector(build_detector(plain()), tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    shapes = [
        [output.shape for output in session.run(["logits", "boxes"], {"images": np.zeros((n, 3, 64, 64), np.float32)})]
        for n in (1, 5)
    ]
    # maps of 4, 2, 1, 1, 1 and 1 pixels a side: 16 * 3 + (4 + 4) * 6
    assert shapes == [[(1, 96, 3), (1, 96, 4)], [(5, 96, 3), (5, 96, 4)]]
