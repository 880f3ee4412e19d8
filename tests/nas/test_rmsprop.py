"""`nas.rmsprop`: numbers worked out by hand from TensorFlow's formulas."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nas.rmsprop import TFRMSProp


def weight(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value], dtype=torch.float64))


def take(optimizer: TFRMSProp, parameter: nn.Parameter, gradient: float) -> float:
    parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()
    return parameter.item()


def test_two_steps_are_those_worked_out_by_hand() -> None:
    w = weight(1.0)
    optimizer = TFRMSProp([w], lr=0.1, rho=0.9, momentum=0.9, eps=0.14)
    # s = 0.9 * 1 + 0.1 * 4 = 1.3; v = 0.1 * 2 / sqrt(1.3 + 0.14) = 0.2 / 1.2 = 1/6
    assert take(optimizer, w, 2.0) == pytest.approx(1 - 1 / 6, abs=1e-12)
    # s = 0.9 * 1.3 + 0.4 = 1.57; v = 0.9 / 6 + 0.2 / sqrt(1.71) = 0.15 + 0.1529438 = 0.3029438
    assert take(optimizer, w, 2.0) == pytest.approx(0.8333333 - 0.3029438, abs=1e-7)


def test_a_lower_rate_does_not_scale_the_momentum_already_gathered() -> None:
    w = weight(1.0)
    optimizer = TFRMSProp([w], lr=0.1, rho=0.9, momentum=0.9, eps=0.14)
    take(optimizer, w, 2.0)
    optimizer.param_groups[0]["lr"] = 0.0
    assert take(optimizer, w, 2.0) == pytest.approx(1 - 1 / 6 - 0.9 / 6, abs=1e-12)


def test_weight_decay_joins_the_gradient() -> None:
    w = weight(4.0)
    optimizer = TFRMSProp([w], lr=0.1, rho=0.9, momentum=0.0, eps=0.14, weight_decay=0.5)
    # g = 0 + 0.5 * 4 = 2, so the first step is that of above
    assert take(optimizer, w, 0.0) == pytest.approx(4 - 1 / 6, abs=1e-12)


def test_weights_without_gradient_stay() -> None:
    w, still = weight(1.0), weight(3.0)
    optimizer = TFRMSProp([w, still], lr=0.1)
    take(optimizer, w, 1.0)
    assert still.item() == 3.0
    assert w.item() < 1.0


def test_its_state_goes_into_a_file_and_back(tmp_path: Path) -> None:
    one, other = weight(1.0), weight(1.0)
    first, second = TFRMSProp([one], lr=0.1), TFRMSProp([other], lr=0.1)
    take(first, one, 2.0)
    other.data.copy_(one.data)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert take(first, one, 2.0) == take(second, other, 2.0)
