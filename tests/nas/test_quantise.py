"""`nas.quantise`: int8 files that answer as the float ones do, with every map in int8."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nas.export import check_onnx, export_onnx
from nas.network import Network, build
from nas.quantise import OnnxModule, Quantisation, needs_reduced_range, noise, quantise, quantise_best
from search_spaces import Arch, Block, Head, InputError, SqueezeExcite, Stem

GATE = SqueezeExcite(8, "hard_sigmoid")


def images(count: int = 24) -> np.ndarray:
    """Smooth pictures: noise alone would leave every network with like outputs."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def network() -> Network:
    """A network with all that MobileNetV3 has: h-swish, squeeze-and-excite, a residual, a hidden layer."""
    blocks = (
        Block("mbconv", 16, 3, 2, expanded=32, se=GATE, activation="hswish"),
        Block("mbconv", 16, 5, 1, expanded=48, se=GATE, activation="hswish", skip="identity"),
    )
    torch.manual_seed(0)
    model = build(Arch("tiny", 16, 5, Stem(16, activation="hswish"), blocks, Head(32, 24, "hswish")))
    nn.init.normal_(model.classifier.weight)
    model.normalise.mean.fill_(0.5)
    model.normalise.std.fill_(0.25)
    with torch.no_grad():
        for _ in range(50):  # batch norms get statistics that fit the images
            model.train()(torch.from_numpy(np.moveaxis(images(), 3, 1).astype(np.float32) / 255))
    return model.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_onnx(network(), path, quantisable=True)
    return path


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_activations_in_other_words_compute_the_same(exported: Path) -> None:
    assert check_onnx(network(), exported, images(8)) < 1e-5
    assert "HardSwish" not in kinds(exported)
    assert kinds(exported).count("HardSigmoid") == 7  # one a h-swish; those of the gates are Clips


@pytest.mark.parametrize("per_channel", [False, True])
def test_an_int8_copy_answers_as_the_original_does(per_channel: bool, exported: Path, tmp_path: Path) -> None:
    settings = Quantisation(per_channel, reduce_range=needs_reduced_range())  # or products saturate on older CPUs
    quantise(exported, tmp_path / "int8.onnx", images(), settings)
    assert noise(exported, tmp_path / "int8.onnx", images()) < 0.02  # of the energy: 17 dB and more


def test_weights_are_bytes_and_every_map_is_quantised(exported: Path, tmp_path: Path) -> None:
    quantise(exported, tmp_path / "int8.onnx", images(), Quantisation(float_stem=False))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    made = {output: node.op_type for node in graph.node for output in node.output}
    convs = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "Add", "Mul", "GlobalAveragePool")]
    assert len(convs) > 20
    assert {made[node.input[0]] for node in convs} == {"DequantizeLinear"}
    large = [weight for weight in graph.initializer if len(weight.dims) == 4]
    assert {weight.data_type for weight in large} == {onnx.TensorProto.INT8}
    assert not {"HardSwish", "HardSigmoid", "Relu", "Sigmoid"} & set(kinds(tmp_path / "int8.onnx"))


def test_the_stem_and_named_nodes_stay_in_float(exported: Path, tmp_path: Path) -> None:
    quantise(exported, tmp_path / "int8.onnx", images(), Quantisation(float_nodes=("head.conv",)))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    made = {output: node.op_type for node in graph.node for output in node.output}
    weight = {node.name: node.input[1] for node in graph.node if node.op_type == "Conv"}
    assert {name for name, value in weight.items() if value not in made} == {"stem.conv", "head.conv"}


def test_of_several_ways_the_one_with_the_least_noise_is_kept(exported: Path, tmp_path: Path) -> None:
    hidden = Quantisation(float_nodes=tuple(node.name for node in onnx.load(exported).graph.node[8:]))  # most of it
    ways = [Quantisation(), hidden, Quantisation(per_channel=False)]
    assert quantise_best(exported, tmp_path / "best.onnx", images(), ways) == hidden
    quantise(exported, tmp_path / "same.onnx", images()[:16], hidden)
    assert (tmp_path / "best.onnx").read_bytes() == (tmp_path / "same.onnx").read_bytes()


def test_a_file_can_be_evaluated_as_a_module(exported: Path) -> None:
    pixels = torch.rand(3, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert torch.allclose(OnnxModule(exported)(pixels), network()(pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "needed"), [("avx2 avx512f", True), ("avx2 avx_vnni", False), ("avx512_vnni", False), ("", False)]
)
def test_weights_get_seven_bits_where_products_would_saturate(
    flags: str, needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert needs_reduced_range(flags) == needed
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert not needs_reduced_range(flags)


def test_without_images_there_is_nothing_to_calibrate_on(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs images to calibrate on, got none"):
        quantise(exported, tmp_path / "int8.onnx", images()[:0], Quantisation())
