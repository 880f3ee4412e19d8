"""`Convolution`: torch's, with detours around what its CPU kernels are slow at on the small maps of a proxy task.

Values are those of torch up to rounding. The figures are in experiments/throughput.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_FAST_KERNEL = 3  # the widest kernel whose depthwise weight gradient oneDNN vectorises


class Convolution(nn.Conv2d):
    """A convolution with padding of half its kernel, which computes no more than it must.

    Taps that meet nothing but padding are left out: on a map of 2x2 pixels a 5x5 kernel works with its inner 3x3 alone.
    On a CPU, depthwise weights get their gradient in slices, and a 1x1 kernel on one pixel is a matrix product.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name in nn.Conv2d)
        if self.kernel_size == (1, 1) and input.shape[2:] == (1, 1) and self.groups == 1:
            return F.linear(input.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]
        dilation = self.dilation[0]
        spare = max(0, self.kernel_size[0] // 2 - (max(input.shape[2:]) - 1) // dilation)
        weight = self.weight[:, :, spare:-spare, spare:-spare] if spare else self.weight
        stride, padding = self.stride[0], (self.kernel_size[0] // 2 - spare) * dilation
        if self._is_slow(input, weight.shape[3]) and torch.is_grad_enabled():
            return cast(Tensor, _Depthwise.apply(input, weight, stride, padding))  # type: ignore[no-untyped-call]
        return F.conv2d(input, weight, self.bias, stride, padding, dilation, self.groups)

    def _is_slow(self, input: Tensor, kernel: int) -> bool:  # noqa: A002
        """Tell whether the weight gradient would miss oneDNN's fast kernel: too wide, or wider than the map."""
        depthwise = self.groups == self.in_channels == self.out_channels and self.bias is None
        depthwise = depthwise and self.dilation == (1, 1)  # the slices know none
        return depthwise and input.device.type == "cpu" and (kernel > _FAST_KERNEL or kernel > input.shape[3])


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution, (batch, channels, height, width), weights (channels, 1, kernel, kernel)."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(image, weight, None, stride, padding, groups=image.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        image, weight = ctx.saved_tensors
        for_image, for_weight = ctx.needs_input_grad[:2]
        return (
            _gradients(gradient, image, weight, ctx.stride, ctx.padding, which=0) if for_image else None,
            _weight_gradient(gradient, image, weight, ctx.stride, ctx.padding) if for_weight else None,
            None,
            None,
        )


def _weight_gradient(gradient: Tensor, image: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Give the gradient of the weights, a few of the kernel's columns at a time."""
    padded = F.pad(image, (padding, padding, padding, padding))
    kernel, width = weight.shape[3], (gradient.shape[3] - 1) * stride
    parts = []
    for first in range(0, kernel, _FAST_KERNEL):
        columns = weight[..., first : first + _FAST_KERNEL]
        seen = padded[..., first : first + width + columns.shape[3]]
        parts.append(_gradients(gradient, seen, columns, stride, 0, which=1))
    return torch.cat(parts, dim=3)


def _gradients(gradient: Tensor, image: Tensor, weight: Tensor, stride: int, padding: int, which: int) -> Tensor:
    wanted = [which == 0, which == 1, False]
    settings = ([stride, stride], [padding, padding], [1, 1], False, [0, 0], image.shape[1], wanted)
    return cast(Tensor, torch.ops.aten.convolution_backward(gradient, image, weight, None, *settings)[which])
