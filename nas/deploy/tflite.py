"""Trained classifiers as TensorFlow Lite files, and such files as modules."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latency.tflite_file import tflite_interpreter
from latency.tflite_model import tflite_model
from nas.export import folded_layers, normalisation_of
from nas.network import Network


def export_tflite(model: Network, path: Path) -> None:
    """Write a network to one file, as it computes in evaluation.

    Its input ``images`` is float32 (1, resolution, resolution, 3), RGB in [0, 1]; its output ``logits``, (1, classes).
    Batch norms are folded, the normalisation is part of the graph. ``InputError`` if ai-edge-litert is not installed.
    """
    normalisation = normalisation_of(model.normalise)
    path.write_bytes(tflite_model(model.ops, folded_layers(model), normalisation=normalisation, exact=True))


class TfliteModule(nn.Module):
    """A file in LiteRT as a module, on the CPU: images, (batch, 3, height, width), one by one, to logits."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # tasks ask parameters where the network is
        self._interpreter = tflite_interpreter(path, threads=1)
        (given,), (result,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._given, self._result = given["index"], result["index"]

    def forward(self, images: Tensor) -> Tensor:
        maps = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        return torch.cat([torch.from_numpy(self._logits(maps[index : index + 1])) for index in range(len(maps))])

    def _logits(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._given, image)
        self._interpreter.invoke()
        logits: NDArray[np.float32] = self._interpreter.get_tensor(self._result)  # a copy
        return logits
