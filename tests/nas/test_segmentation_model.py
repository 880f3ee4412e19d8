"""Segmentation networks in torch: their parameters, what they compute, their ONNX files."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.export import check_onnx
from nas.segmentation import SegmentationNetwork, build_segmenter, export_segmenter
from search_spaces import Arch, Block, Head, Stem, load_space, reference
from search_spaces.segmentation import Segmenter, count_segmenter
from tests.nas.deployed import as_if_trained

SMALL = "mobilenet_v3_small"


def segmenter(name: str = SMALL, size: tuple[int, int] = (64, 96), **choices: object) -> Segmenter:
    return Segmenter(reference(name, 0.5), 5, *size, **choices)  # type: ignore[arg-type]


def segmenter_as_if_trained(model: SegmentationNetwork) -> SegmentationNetwork:
    torch.manual_seed(0)
    for name in ("high", "low", "gate"):
        if hasattr(model.decoder, name):
            nn.init.normal_(getattr(model.decoder, name).weight, std=0.05)
    return as_if_trained(model)


CHOICES = [
    {},
    {"head": "raspp"},
    {"output_stride": 32, "size": (65, 97)},
    {"reduced": False, "variant": "torchvision"},
    {"name": "mobilenet_v2"},
    {"name": "mobilenet_v2", "head": "raspp", "reduced": False},
    {"name": "mnasnet_a1", "filters": 32},
    {"size": (801, 805)},  # its last map, 51x51, has more than one place for a window of 49
]


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_the_module_has_the_counted_parameters_and_gives_logits_of_the_images_size(choices: dict[str, object]) -> None:
    wanted = segmenter(**choices)  # type: ignore[arg-type]
    model = build_segmenter(wanted).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == count_segmenter(wanted).params
    with torch.inference_mode():
        assert model(torch.rand(1, 3, wanted.height, wanted.width)).shape == (1, 5, wanted.height, wanted.width)


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_onnx_runtime_gives_torchs_logits(choices: dict[str, object], tmp_path: Path) -> None:
    wanted = segmenter(**choices)  # type: ignore[arg-type]
    model = segmenter_as_if_trained(build_segmenter(wanted))
    export_segmenter(model, tmp_path / "net.onnx")
    images = np.random.default_rng(0).integers(0, 256, (2, wanted.height, wanted.width, 3), np.uint8)
    assert check_onnx(model, tmp_path / "net.onnx", images) < 1e-4


def test_the_file_takes_any_batch(tmp_path: Path) -> None:
    export_segmenter(build_segmenter(segmenter()), tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    shapes = [session.run(None, {"images": np.zeros((n, 3, 64, 96), np.float32)})[0].shape for n in (1, 3)]
    assert shapes == [(1, 5, 64, 96), (3, 5, 64, 96)]


def test_lr_aspp_gates_its_features_and_adds_details() -> None:
    model = segmenter_as_if_trained(build_segmenter(segmenter()))
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        x = model.stem(model.normalise(images))
        for block in model.blocks[:2]:
            x = block(x)
        third = model.blocks[2]
        low = third.depthwise(third.expand(x))  # the last block at stride 8
        for block in model.blocks[2:]:
            x = block(x)
        last = model.head(x)
        gate = torch.sigmoid(model.decoder.gate(last.mean((2, 3), keepdim=True)))
        high = model.decoder.high(upsampled(model.decoder.features(last) * gate, (8, 12)))
        expected = upsampled(high + model.decoder.low(low), (64, 96))
        torch.testing.assert_close(model(images), expected)


def test_r_aspp_fuses_features_with_the_images_mean() -> None:
    model = segmenter_as_if_trained(build_segmenter(segmenter(head="raspp"), dropout=0.5))
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        last = model.head(model.blocks(model.stem(model.normalise(images))))
        decoder = model.decoder
        mean = decoder.context(last.mean((2, 3), keepdim=True)).expand(-1, -1, *last.shape[2:])
        expected = decoder.high(decoder.fuse(torch.cat([decoder.features(last), mean], dim=1)))
        torch.testing.assert_close(model(images), upsampled(expected, (64, 96)))


def upsampled(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def test_a_dilated_convolution_computes_between_pixels_what_the_strided_networks_computes_on_them() -> None:
    coarse = build_segmenter(segmenter(output_stride=32, reduced=False)).blocks[9].depthwise.conv
    fine = build_segmenter(segmenter(output_stride=16, reduced=False)).blocks[9].depthwise.conv
    assert (coarse.kernel_size, coarse.dilation, fine.dilation) == ((5, 5), (1, 1), (2, 2))
    fine.load_state_dict(coarse.state_dict())
    maps = torch.rand(2, coarse.in_channels, 8, 12)
    torch.testing.assert_close(fine(maps)[:, :, ::2, ::2], coarse(maps[:, :, ::2, ::2]))
    torch.testing.assert_close(fine(maps)[:, :, 1::2, 1::2], coarse(maps[:, :, 1::2, 1::2]))


def test_a_backbone_of_full_convolutions_gives_details_from_its_blocks(tmp_path: Path) -> None:
    blocks = tuple(Block("conv", 8 * 2**level, 3, 2, activation="hswish") for level in range(4))
    plain = Segmenter(Arch("plain", 64, 10, Stem(8), blocks, Head(64)), 3, 64, 64)
    model = segmenter_as_if_trained(build_segmenter(plain))
    assert model.tapped_role == ""
    export_segmenter(model, tmp_path / "net.onnx")
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    assert check_onnx(model, tmp_path / "net.onnx", images) < 1e-4


def test_what_a_search_emits_can_be_a_backbone(tmp_path: Path) -> None:
    import random

    space = load_space("mobilenet_v3")
    found = Segmenter(space.decode(space.sample(random.Random(3))), 4, 64, 64)
    model = segmenter_as_if_trained(build_segmenter(found))
    assert sum(parameter.numel() for parameter in model.parameters()) == count_segmenter(found).params
    export_segmenter(model, tmp_path / "net.onnx")
    assert check_onnx(model, tmp_path / "net.onnx", np.full((1, 64, 64, 3), 99, np.uint8)) < 1e-4


def test_weights_of_a_classifier_fit_where_nothing_was_reduced() -> None:
    from nas.network import build

    arch = reference(SMALL, 0.5)
    model = build_segmenter(Segmenter(arch, 5, 64, 64, reduced=False))
    missing, unexpected = model.load_state_dict(build(arch).state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing} == {"decoder"}
    assert {name.split(".")[0] for name in unexpected} == {"hidden", "classifier"}
