"""`nas.deploy.tflite`: a trained network computes in LiteRT what it does in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from latency.host import time_tflite
from nas.deploy.deployable import pixels_of
from nas.deploy.files import formats_for, write_file
from nas.deploy.tflite import TfliteModule, export_tflite
from nas.network import build
from search_spaces import InputError, reference
from tests.nas.deployed import as_if_trained, classifier

pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'nas-mobile[tflite]'")


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small", "mnasnet_a1", "mobilenet_v2"])
def test_published_networks_give_torchs_logits_in_litert(name: str, tmp_path: Path) -> None:
    model = as_if_trained(build(reference(name, resolution=64, classes=10)))
    nn.init.normal_(model.classifier.weight, std=0.1)  # so that images differ in their logits
    export_tflite(model, tmp_path / "net.tflite")
    pixels = pixels_of(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8))
    with torch.inference_mode():
        expected, got = model(pixels), TfliteModule(tmp_path / "net.tflite")(pixels)
    assert got.shape == (3, 10)
    assert (got - expected).abs().max() < 1e-4
    assert (expected[0] - expected[1]).abs().max() > 1e-3  # each image has its own answer


def test_a_trained_classifiers_file_agrees_within_1e_4_on_100_validation_images(tmp_path: Path) -> None:
    network = classifier()
    assert formats_for(network, [], print) == ["onnx", "int8", "tflite"]
    made = write_file(network, "tflite", tmp_path)
    assert made.largest_difference < 1e-4
    assert (made.name, made.compared_images, made.runtime.split()[0]) == ("model.tflite", 100, "LiteRT")
    assert network.scores(TfliteModule(tmp_path / "model.tflite")) == network.scores(network.model)


def test_the_file_takes_one_image_with_its_channels_last(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    export_tflite(build(reference("mnasnet_small", resolution=32, classes=7)), tmp_path / "net.tflite")
    interpreter = Interpreter(model_path=str(tmp_path / "net.tflite"))
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["name"], given["shape"].tolist()) == ("images", [1, 32, 32, 3])
    assert (result["name"], result["shape"].tolist()) == ("logits", [1, 7])


def test_a_file_is_timed_call_by_call(tmp_path: Path) -> None:
    export_tflite(build(reference("mnasnet_small", resolution=32, classes=7)), tmp_path / "net.tflite")
    timing = time_tflite(tmp_path / "net.tflite", rounds=2, calls=3)
    assert timing.runs == 6


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"LiteRT cannot load .*net\.tflite"):
        time_tflite(tmp_path / "net.tflite")
