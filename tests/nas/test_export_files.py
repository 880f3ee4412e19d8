"""`nas.deploy`: each file of a trained network computes what torch does, or says how far it is off."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nas.deploy.deployable import (
    Deployable,
    DeployableClassifier,
    DeployableDetector,
    DeployableSegmenter,
    deployable,
    pixels_of,
    spread,
)
from nas.deploy.files import FORMATS, formats_for, gap, write_file
from nas.deploy.memory import peak_memory
from nas.deploy.shorten import shorten
from nas.export import export_onnx
from nas.network import build
from nas.quantise import OnnxModule, Quantisation, default_settings, quantise
from search_spaces import InputError, reference
from tests.nas.deployed import classifier, detector, segmenter


@pytest.fixture(scope="module")
def digits() -> DeployableClassifier:
    return classifier()


@pytest.fixture(scope="module")
def squares() -> DeployableDetector:
    return detector()


@pytest.fixture(scope="module")
def colours() -> DeployableSegmenter:
    return segmenter()


def silent(text: str) -> None:
    raise AssertionError(f"nothing to say was expected, got {text!r}")


def test_torch_and_onnx_agree_within_1e_4_on_100_validation_images(digits: Deployable, tmp_path: Path) -> None:
    made = write_file(digits, "onnx", tmp_path)
    assert (made.name, made.dtype, made.compared_images, made.scores) == ("model.onnx", "float32", 100, None)
    assert made.largest_difference < 1e-4
    assert made.bytes == (tmp_path / "model.onnx").stat().st_size
    # by other means than those of the exporter
    images = digits.data.images[digits.data.validation[:100]]
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": (images / 255).astype(np.float32).transpose(0, 3, 1, 2)})
    with torch.inference_mode():
        expected = digits.model(torch.tensor(images / 255, dtype=torch.float32).permute(0, 3, 1, 2)).numpy()
    assert np.abs(logits - expected).max() < 1e-4
    assert np.ptp(logits) > 1  # they tell something


def test_the_int8_file_is_judged_on_all_validation_images(digits: Deployable, tmp_path: Path) -> None:
    made = write_file(digits, "int8", tmp_path)
    assert made.scores is not None
    exact = digits.scores(digits.model).metrics["accuracy"]
    assert (
        made.scores.metrics["accuracy"] == digits.scores(OnnxModule(tmp_path / "model.int8.onnx")).metrics["accuracy"]
    )
    assert made.scores.metrics["accuracy"] == pytest.approx(exact, abs=0.05)
    assert 1e-4 < made.largest_difference < 5
    assert [path.name for path in tmp_path.iterdir()] == ["model.int8.onnx"]


@pytest.mark.parametrize("setting", default_settings(), ids=["per channel", "per tensor"])
@pytest.mark.parametrize("classes", [10, 1000])
def test_the_int8_file_has_less_than_28_percent_of_the_bytes_and_what_is_left_out_changes_no_value_and_no_kernel(
    classes: int, setting: Quantisation, tmp_path: Path
) -> None:
    model = build(replace(reference("mobilenet_v3_small"), resolution=32, classes=classes)).eval()
    export_onnx(model, tmp_path / "float.onnx")
    export_onnx(model, tmp_path / "source.onnx", quantisable=True)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    quantise(tmp_path / "source.onnx", tmp_path / "int8.onnx", images, setting)
    before, kernels = OnnxModule(tmp_path / "int8.onnx")(pixels_of(images)), kernels_of(tmp_path / "int8.onnx")
    shorten(tmp_path / "int8.onnx")
    assert (tmp_path / "int8.onnx").stat().st_size < 0.28 * (tmp_path / "float.onnx").stat().st_size
    assert torch.equal(OnnxModule(tmp_path / "int8.onnx")(pixels_of(images)), before)
    assert kernels_of(tmp_path / "int8.onnx") == kernels
    assert {"QLinearConv", "QGemm"} <= set(kernels)
    onnx.checker.check_model(onnx.load(tmp_path / "int8.onnx"), full_check=True)


def kernels_of(path: Path) -> dict[str, int]:
    """Count the kinds of node that ONNX Runtime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_name("optimised.onnx"))
    options.log_severity_level = 3  # it warns that such a file is for this machine
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(path.with_name("optimised.onnx")).graph.node)


def test_an_int8_file_keeps_the_names_of_what_computes(digits: Deployable, tmp_path: Path) -> None:
    write_file(digits, "int8", tmp_path)
    graph = onnx.load(tmp_path / "model.int8.onnx", load_external_data=False).graph
    assert ([value.name for value in graph.input], [value.name for value in graph.output]) == (["images"], ["logits"])
    assert {node.name for node in graph.node if node.op_type == "Conv"} >= {"stem.conv", "blocks.1.depthwise.conv"}
    assert max(len(constant.name) for constant in graph.initializer) <= 3
    assert len(graph.value_info) == 0


class OfAnother(DeployableClassifier):
    """Writes the file of a network that it is not."""

    def write_onnx(self, path: Path, quantisable: bool) -> None:
        export_onnx(self.task.build(), path, quantisable)


def test_a_file_that_computes_something_else_is_an_error_and_is_not_kept(
    digits: DeployableClassifier, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"model\.onnx differs from torch by .*, more than 0\.0001"):
        write_file(OfAnother(digits.task, digits.model), "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_difference_is_the_largest_of_all_images_and_nan_where_one_is(tmp_path: Path) -> None:
    network = classifier()  # one to break
    images = spread(network.data, network.data.validation, 40)
    export_onnx(network.model, tmp_path / "net.onnx")
    with torch.no_grad():
        network.model.classifier.bias[3] += 2.0
        assert gap(network, OnnxModule(tmp_path / "net.onnx"), images).difference == pytest.approx(2, abs=1e-4)
        network.model.classifier.bias[3] = torch.nan
    with pytest.raises(RuntimeError, match=r"net\.onnx differs from torch by nan"):
        gap(network, OnnxModule(tmp_path / "net.onnx"), images).checked("net.onnx")


def test_images_are_spread_over_all_that_there_are(digits: Deployable) -> None:
    validation = digits.data.validation
    assert np.array_equal(spread(digits.data, validation, 3), digits.data.images[validation[[0, 179, 358]]])
    assert len(spread(digits.data, validation, 1000)) == len(validation) == 359


def test_the_float_file_of_a_detector_scores_as_torch_does(squares: Deployable, tmp_path: Path) -> None:
    assert write_file(squares, "onnx", tmp_path).largest_difference < 1e-4
    expected = squares.task.evaluate(squares.model)
    assert squares.scores(OnnxModule(tmp_path / "model.onnx")).metrics == pytest.approx(expected)
    assert squares.scores(squares.model).metrics == expected
    assert expected["mAP@0.5"] > 0.1  # it learned something


def test_an_int8_detector_makes_its_boxes_in_float(squares: Deployable, tmp_path: Path) -> None:
    made = write_file(squares, "int8", tmp_path)
    assert made.scores is not None
    assert made.scores.interval is None
    graph = onnx.load(tmp_path / "model.int8.onnx").graph
    kind = {output: node.op_type for node in graph.node for output in node.output}
    assert kind["boxes"] == "Concat"
    assert kind["logits"] == "DequantizeLinear"
    # quantised ones would read what a DequantizeLinear made
    decoding = [node for node in graph.node if node.name.startswith("decoding.") and node.name != "decoding.scaled"]
    assert len(decoding) == 7
    assert "DequantizeLinear" not in [kind.get(name) for node in decoding for name in node.input]
    with torch.inference_mode():
        pixels = pixels_of(spread(squares.data, squares.data.validation, 4))
        boxes, found = squares.outputs(pixels)[1], OnnxModule(tmp_path / "model.int8.onnx")(pixels)[1]
    assert len(torch.unique(found)) > 256  # a quantised map has no more values
    assert (found - boxes).abs().mean() < 0.02  # of the image's side


def test_the_files_of_a_segmenter_score_as_torch_does(colours: Deployable, tmp_path: Path) -> None:
    assert write_file(colours, "onnx", tmp_path).largest_difference < 1e-4
    expected = colours.scores(colours.model)
    assert expected.metrics == colours.task.evaluate(colours.model)
    assert colours.scores(OnnxModule(tmp_path / "model.onnx")) == expected
    assert expected.interval is not None
    assert expected.interval.low < expected.metrics["mIOU"] < expected.interval.high
    quantised = write_file(colours, "int8", tmp_path).scores
    assert quantised is not None
    assert quantised.metrics["mIOU"] == pytest.approx(expected.metrics["mIOU"], abs=0.05)


def test_a_task_and_its_network_are_joined_by_what_they_are(
    digits: DeployableClassifier, squares: DeployableDetector, colours: DeployableSegmenter
) -> None:
    for network in (digits, squares, colours):
        assert deployable(network.task, network.model) == network
    with pytest.raises(TypeError, match="a Detection task has no Network to export"):
        deployable(squares.task, digits.model)


def test_all_formats_are_made_where_none_is_named_and_else_those_that_are(squares: Deployable) -> None:
    told: list[str] = []
    assert formats_for(squares, [], told.append) == ["onnx", "int8"]
    assert told == ["no model.tflite: TFLite files are made of classifiers, not of detection; leave --tflite away"]
    assert formats_for(squares, ["int8"], silent) == ["int8"]
    with pytest.raises(InputError, match="TFLite files are made of classifiers, not of detection"):
        formats_for(squares, ["onnx", "tflite"], silent)


def test_peak_memory_holds_the_weights_and_grows_with_the_maps(tmp_path: Path) -> None:
    sizes = {}
    for resolution in (32, 1024):
        path = tmp_path / f"{resolution}.onnx"
        export_onnx(build(reference("mobilenet_v3_small", resolution=resolution)), path)
        sizes[resolution] = peak_memory(path)
    small, large = sizes[32], sizes[1024]
    if small is None or large is None:
        pytest.skip("this system keeps no high-water mark of a process's memory; Linux does")
    assert small > path.stat().st_size
    assert large - small > 16 * 512 * 512 * 4  # the map behind its stem: 16 channels of floats


def test_a_file_that_cannot_be_run_has_no_peak_memory(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match=r"net\.onnx could not be run to measure its memory: .*INVALID_PROTOBUF"):
        peak_memory(tmp_path / "net.onnx")


def test_every_format_has_its_own_file() -> None:
    assert [made.file for made in FORMATS.values()] == ["model.onnx", "model.int8.onnx", "model.tflite"]
