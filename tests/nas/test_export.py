"""`nas.export`: the ONNX file computes what torch computes."""

import random
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from nas.export import Gap, check_onnx, export_onnx
from nas.network import Network, build
from search_spaces import load_space, proxy_arch, reference, references, shipped_spaces
from tests.nas.deployed import as_if_trained


def logits_of_order_1(model: Network) -> Network:
    nn.init.normal_(as_if_trained(model).classifier.weight, std=0.02)
    return model


def some_images(count: int, resolution: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, resolution, resolution, 3), np.uint8)


@pytest.mark.parametrize("name", references())
def test_published_networks_give_torchs_logits_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    model = logits_of_order_1(build(reference(name, resolution=64, classes=10)))
    export_onnx(model, tmp_path / "net.onnx")
    assert check_onnx(model, tmp_path / "net.onnx", some_images(2, 64)) < 1e-4


@pytest.mark.parametrize("name", shipped_spaces())
def test_networks_of_every_space_give_torchs_logits_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    space = load_space(name)
    arch = proxy_arch(space.decode(space.sample(random.Random(7))), 16, 10)
    model = logits_of_order_1(build(arch))
    export_onnx(model, tmp_path / "net.onnx")
    assert check_onnx(model, tmp_path / "net.onnx", some_images(3, 16)) < 1e-4


def test_the_check_notices_a_file_of_other_weights(tmp_path: Path) -> None:
    arch = reference("mobilenet_v3_small", resolution=32, classes=10)
    model = logits_of_order_1(build(arch))
    export_onnx(model, tmp_path / "net.onnx")
    with torch.no_grad():
        model.classifier.bias[3] += 1.0
    with pytest.raises(RuntimeError, match=r"net\.onnx differs from torch by 1, more than 0\.0001"):
        check_onnx(model, tmp_path / "net.onnx", some_images(2, 32))


@pytest.mark.parametrize(
    ("largest", "apart", "same"),
    [(0.5, 0.9e-4, True), (9.0, 1.1e-4, False), (150.0, 1.4e-3, True), (150.0, 2e-3, False)],
)
def test_large_outputs_may_differ_by_what_float32_rounds_them_by(largest: float, apart: float, same: bool) -> None:
    found = Gap.between([(np.array([-largest, 0.0]), np.array([-largest, apart]))])
    if same:
        assert found.checked("net.onnx") == pytest.approx(apart)
    else:
        with pytest.raises(RuntimeError, match=r"net\.onnx differs from torch by "):
            found.checked("net.onnx")


def test_the_file_takes_any_batch_of_float_images(tmp_path: Path) -> None:
    export_onnx(build(reference("mnasnet_small", resolution=32, classes=10)), tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    shapes = [session.run(["logits"], {"images": np.zeros((n, 3, 32, 32), np.float32)})[0].shape for n in (1, 5)]
    assert shapes == [(1, 10), (5, 10)]


def test_batch_norms_are_folded_and_an_untrained_normalisation_is_left_out(tmp_path: Path) -> None:
    export_onnx(build(reference("mobilenet_v3_small", resolution=32)), tmp_path / "net.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert not {"BatchNormalization", "Sub", "Div"} & set(kinds)
    assert kinds.count("Conv") == 52  # stem, 3 x 11 blocks less one expansion, 2 x 9 squeeze-and-excites, head
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_the_export_leaves_the_model_in_training_mode_and_its_weights_alone(tmp_path: Path) -> None:
    model = build(reference("mobilenet_v3_small", resolution=32)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export_onnx(model, tmp_path / "net.onnx")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
