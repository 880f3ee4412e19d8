"""Networks as ONNX files, for deployment.

Written from the module and its Ops rather than traced: in milliseconds, with the batch norms folded into the
convolutions and names that are the module's.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from latency.onnx_model import INPUT, OUTPUT, Layer, Normalisation, onnx_model
from nas.network import ConvNorm, Network, Normalise
from search_spaces import Conv

TOLERANCE = 1e-4  # of outputs up to 10; of larger ones a hundred-thousandth, as float32 rounds them more coarsely

_Array = np.ndarray[Any, np.dtype[np.float32]]


class Gap(NamedTuple):
    """How far a file's outputs are from torch's at most, and torch's largest output; both absolute."""

    difference: float
    largest: float

    @classmethod
    def between(cls, pairs: Iterable[tuple[_Array, _Array]]) -> "Gap":
        """Measure it over outputs, torch's first; nan if one is."""
        gaps = [(np.abs(expected - found).max(), np.abs(expected).max()) for expected, found in pairs]
        return cls(*np.max(gaps, axis=0).tolist())

    def checked(self, name: str) -> float:
        """Give the difference; ``RuntimeError`` that names the file if it is more than rounding."""
        allowed = TOLERANCE * max(1.0, self.largest / 10)
        if not self.difference <= allowed:  # nan is not
            raise RuntimeError(f"{name} differs from torch by {self.difference:.2g}, more than {allowed:.2g}")
        return self.difference


def export_onnx(model: Network, path: str | Path, quantisable: bool = False) -> None:
    """Write a network to one file, as it computes in evaluation.

    Its input ``images`` is float32 (batch, 3, resolution, resolution), RGB in [0, 1], any batch size; its output
    ``logits`` is (batch, classes). The normalisation is part of the graph, unless it is that of an untrained network,
    which changes nothing. ``quantisable`` spells the activations as `nas.quantise` needs them; the values are the same.
    """
    normalisation, layer = normalisation_of(model.normalise), folded_layers(model)
    proto = onnx_model(model.ops, layer, batch="batch", normalisation=normalisation, quantisable=quantisable)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))


def check_onnx(model: nn.Module, path: str | Path, images: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """Run torch and ONNX Runtime on the same images; give the largest absolute difference between their logits.

    ``images`` are bytes, (count, resolution, resolution, 3), as in `ImageData`. ``RuntimeError`` if they compute
    something else.
    """
    pixels = np.ascontiguousarray(np.moveaxis(images, 3, 1).astype(np.float32) / 255)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (exported,) = session.run([OUTPUT], {INPUT: pixels})
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels).to(next(model.parameters()).device)).float().cpu().numpy()
    model.train(was_training)
    return Gap.between([(expected, exported)]).checked(Path(path).name)


def folded_layers(model: Network) -> Callable[[int, Conv], Layer]:
    """Give what names each convolution of the Op at an index, and its weights with the batch norm folded in."""
    names = model.layer_names()

    def layer(index: int, conv: Conv) -> Layer:
        name = names[index][conv.role]
        return Layer(name, *folded(model.get_submodule(name)))

    return layer


def normalisation_of(normalise: Normalise) -> Normalisation | None:
    if not normalise.mean.any() and bool((normalise.std == 1).all()):
        return None
    return Normalisation(_array(normalise.mean), _array(normalise.std))


def folded(module: nn.Module) -> tuple[_Array, _Array]:
    """Give weight and bias of a convolution or linear layer, its batch norm folded in."""
    if isinstance(module, ConvNorm):
        norm = module.norm
        assert norm.running_mean is not None  # only a batch norm that tracks nothing lacks them
        assert norm.running_var is not None
        # folded in double: one rounding
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().double()
        weight = module.conv.weight.detach().double() * scale[:, None, None, None]
        return _array(weight), _array(norm.bias.detach().double() - norm.running_mean.double() * scale)
    assert isinstance(module, nn.Conv2d | nn.Linear)
    bias = torch.zeros(len(module.weight)) if module.bias is None else module.bias
    return _array(module.weight), _array(bias)


def _array(value: torch.Tensor) -> _Array:
    array: _Array = value.detach().cpu().numpy().astype(np.float32)
    return array
