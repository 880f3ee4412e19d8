"""Kinds of block: what is refused, and the example of docs/own-blocks.md from its text to a table."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from latency.onnx_model import onnx_model, random_layers
from nas.export import check_onnx, export_onnx
from nas.network import build
from search_spaces import (
    Arch,
    Block,
    BlockKind,
    Conv,
    FileError,
    Head,
    KindError,
    Op,
    Stem,
    count,
    kinds,
    load_space,
    register_kind,
)
from search_spaces.kinds import block_kind, choice_name, parse_choice

DOCUMENT = Path(__file__).parents[2] / "docs" / "own-blocks.md"


def dense(op: Op) -> list[Conv]:
    """Put a convolution's result behind its input: it has appending, grouped convolutions, and no expansion."""
    size = (op.out_height, op.out_width)
    return [
        Conv("reduce", op.in_channels, 16, 1, op.stride, 4, *size, activation="relu"),
        Conv("grow", 16, op.out_channels - 16, op.kernel, 1, 8, *size, activation="hswish", appends=True),
        *op.squeeze_excite(op.out_channels),
    ]


DENSE = BlockKind("dense_test", dense, expands=False)


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """Register the kind for this module alone."""
    register_kind(DENSE)
    yield
    del kinds._kinds[DENSE.name]
    parse_choice.cache_clear()


def network() -> Arch:
    blocks = (
        Block("dense_test", 24, 3, 2),
        Block("dense_test", 32, 5, 1),
        Block("dense_test", 32, 3, 1, skip="identity"),
    )
    return Arch("dense", 32, 10, Stem(16), blocks, Head(64))


def test_an_own_kind_is_counted_built_and_exported(tmp_path: Path) -> None:
    arch, model = network(), build(network())
    assert count(arch).params == sum(parameter.numel() for parameter in model.parameters())
    for module in model.modules():  # fresh batch norms change nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias)
    export_onnx(model, tmp_path / "dense.onnx")
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    assert check_onnx(model, tmp_path / "dense.onnx", images) < 1e-4


def test_an_own_kind_computes_what_its_convolutions_say() -> None:
    model = build(network()).eval()
    block = model.blocks[1]
    x = torch.randn(2, 24, 16, 16)
    reduced = block.reduce(x)
    torch.testing.assert_close(block(x), torch.cat([reduced, block.grow(reduced)], dim=1))


def test_tflite_computes_the_same_as_onnx() -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    from latency.tflite_model import tflite_model

    ops = [Op("dense_test", 8, 8, 16, 24, 3, 1, activation=None)]
    lite = interpreter.Interpreter(model_content=tflite_model(ops, random_layers(), exact=True))
    lite.allocate_tensors()
    image = np.random.default_rng(0).standard_normal((1, 16, 8, 8), np.float32)
    lite.set_tensor(lite.get_input_details()[0]["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    lite.invoke()
    result = lite.get_tensor(lite.get_output_details()[0]["index"]).transpose(0, 3, 1, 2)
    model = onnx_model(ops, random_layers()).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"images": image})
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_keys_and_choices_name_it() -> None:
    op = Op("dense_test", 8, 8, 16, 32, 3, 1, activation="relu")
    assert Op.parse(op.key) == op
    assert parse_choice("dense_test") == (DENSE, 0.0)
    assert choice_name("dense_test", 16, 0) == "dense_test"
    assert [choice_name("mbconv", 16, wide) for wide in (16, 40, 48)] == ["dconv", "mbconv2.5", "mbconv3"]


@pytest.mark.parametrize(
    ("choice", "allowed"),
    [("mbconv", "mbconvE with E"), ("mbconv0.5", "mbconvE with E"), ("conv3", "conv, dconv"), ("dense_test2", "dense")],
)
def test_a_choice_with_a_ratio_that_its_kind_does_not_take_is_refused(choice: str, allowed: str) -> None:
    with pytest.raises(KindError, match=allowed) as told:
        parse_choice(choice)
    assert repr(choice) in str(told.value)


def broken(convs: list[Conv]) -> BlockKind:
    return BlockKind("broken", lambda op: convs, expands=False)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (BlockKind("conv", dense), "there already"),
        (BlockKind("pool", dense), "none of"),
        (BlockKind("Dense", dense), "lower-case"),
        (broken([]), "role of its own"),
        (
            broken([Conv("a", 16, 8, out_height=10, out_width=10), Conv("a", 8, 24, out_height=10, out_width=10)]),
            "a, a",
        ),
        (broken([Conv("a", 8, 24, out_height=10, out_width=10)]), "a takes 8 channels, and is given 16"),
        (broken([Conv("a", 16, 24, 3, 2, out_height=10, out_width=10)]), "makes 5x5 pixels, and says 10x10"),
        (broken([Conv("a", 16, 32, out_height=10, out_width=10)]), "must make \\(24, 10, 10\\)"),
    ],
)
def test_a_kind_that_does_not_fit_together_is_refused(kind: BlockKind, says: str) -> None:
    with pytest.raises(KindError, match=says):
        register_kind(kind)
    with pytest.raises(KindError, match="unknown block kind 'broken'"):
        block_kind("broken")


def files_of_the_document() -> dict[str, str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(r"`([\w/.]+)`[^\n]*\n\n```\w+\n(.*?)```", text, re.S)
    return dict(found)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the document's files and install its package, as it says; give the environment that has it."""
    folder = tmp_path_factory.mktemp("own-blocks")
    for name, text in files_of_the_document().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder / "ghost")], check=True)
    return {**os.environ, "PYTHONPATH": str(folder / "site"), "FOLDER": str(folder)}


def test_the_document_has_its_files() -> None:
    assert set(files_of_the_document()) == {"ghost/pyproject.toml", "ghost/ghost_blocks.py", "ghost.yaml"}


def test_the_documents_block_goes_from_package_to_checked_table(installed: dict[str, str]) -> None:
    space = Path(installed["FOLDER"]) / "ghost.yaml"
    with pytest.raises(FileError, match=r"op must be conv, dconv.*ghost2"):  # here it is not installed
        load_space(str(space))
    (command,) = re.findall(r"^nas-build-lut (.*)$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    done = subprocess.run(
        [sys.executable, "-m", "nas.commands.build_lut", *command.split(), "--json"],
        cwd=space.parent,
        env=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["check"]["this table"]["networks"] == 10
    rows = (space.parent / "ghost.lut").read_text(encoding="utf-8")
    assert rows.count("\nghost-") == 20


def test_the_documents_block_counts_as_it_is_built(installed: dict[str, str]) -> None:
    program = """
import random
from nas.network import build
from search_spaces import count, load_space
space, rng = load_space("ghost.yaml"), random.Random(0)
for _ in range(20):
    arch = space.decode(space.sample(rng))
    assert count(arch).params == sum(p.numel() for p in build(arch).parameters())
"""
    subprocess.run([sys.executable, "-c", program], cwd=installed["FOLDER"], env=installed, check=True)
