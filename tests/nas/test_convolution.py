import pytest
import torch
from torch import nn

from nas import convolution
from nas.convolution import Convolution

DEPTHWISE = [(kernel, stride, size) for kernel in (3, 5, 7) for stride in (1, 2) for size in (1, 2, 3, 4, 7, 8)]


def gradients(module: nn.Conv2d, image: torch.Tensor) -> list[torch.Tensor]:
    leaf = image.clone().requires_grad_()
    output = module(leaf)
    (output * torch.linspace(-1, 1, output.numel()).reshape(output.shape)).sum().backward()
    found = [output.detach(), leaf.grad, *[parameter.grad for parameter in module.parameters()]]
    assert all(tensor is not None for tensor in found)
    return [tensor for tensor in found if tensor is not None]


def pair(channels: int, out_channels: int, kernel: int, stride: int, groups: int, bias: bool) -> list[nn.Conv2d]:
    """Make ours and torch's with the same weights."""
    torch.manual_seed(0)
    arguments = (channels, out_channels, kernel, stride)
    ours, theirs = (
        kind(*arguments, padding=kernel // 2, groups=groups, bias=bias).to(memory_format=torch.channels_last)
        for kind in (Convolution, nn.Conv2d)
    )
    theirs.load_state_dict(ours.state_dict())
    return [ours, theirs]


def same(ours: nn.Conv2d, theirs: nn.Conv2d, image: torch.Tensor) -> bool:
    found, expected = gradients(ours, image), gradients(theirs, image)
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("kernel", "stride", "size"), DEPTHWISE)
def test_a_depthwise_convolution_has_torchs_values_and_gradients(kernel: int, stride: int, size: int) -> None:
    image = torch.randn(3, 6, size, size + 1).contiguous(memory_format=torch.channels_last)
    assert same(*pair(6, 6, kernel, stride, 6, False), image)


@pytest.mark.parametrize(("channels", "out", "kernel", "groups", "bias"), [(6, 4, 1, 1, True), (6, 6, 5, 2, False)])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_other_convolutions_have_torchs_values_and_gradients(
    channels: int, out: int, kernel: int, groups: int, bias: bool, size: int
) -> None:
    assert same(*pair(channels, out, kernel, 1, groups, bias), torch.randn(3, channels, size, size))


def test_a_depthwise_convolution_of_several_filters_a_channel_is_torchs() -> None:
    assert same(*pair(4, 8, 5, 1, 4, False), torch.randn(2, 4, 6, 6))


@pytest.mark.parametrize(("kernel", "size", "detours"), [(5, 8, True), (3, 2, True), (3, 8, False), (3, 3, False)])
def test_only_slow_depthwise_gradients_take_the_detour(
    kernel: int, size: int, detours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = convolution._weight_gradient
    monkeypatch.setattr(convolution, "_weight_gradient", lambda *given: seen.append(1) or original(*given))
    ours, _ = pair(6, 6, kernel, 1, 6, False)
    gradients(ours, torch.randn(2, 6, size, size))
    assert bool(seen) == detours


def test_a_frozen_depthwise_convolution_hands_the_gradient_on() -> None:
    ours, theirs = pair(6, 6, 5, 1, 6, False)
    images = [torch.ones(1, 6, 4, 4, requires_grad=True) for _ in range(2)]
    for module, image in zip((ours, theirs), images, strict=True):
        module.requires_grad_(False)
        module(image).sum().backward()
    assert ours.weight.grad is None
    found, expected = [image.grad for image in images]
    assert found is not None
    assert expected is not None
    assert torch.allclose(found, expected)
