import numpy as np
import pytest

from latency.fit import fit_costs, fit_costs_and_scales, fit_scale
from search_spaces import InputError


def array(*rows: object) -> np.ndarray:
    return np.array(rows, dtype=float)


def test_costs_minimise_relative_errors() -> None:
    # one cost c: (c/1 - 1)² + (c/2 - 1)² is smallest where c + c/4 = 1 + 1/2: at 1.2 (absolute errors would give 1.5)
    assert fit_costs(array([1], [1]), array(1, 2)) == pytest.approx([1.2])


def test_a_cost_that_would_be_negative_is_zero() -> None:
    # work (1, 0) takes 2 ms and work (1, 1) takes 1: freely, 2 and -1; with no second cost, c/2 and c aim at 1: 1.2
    assert fit_costs(array([1, 0], [1, 1]), array(2, 1)) == pytest.approx([1.2, 0])


def test_a_scale_minimises_relative_errors() -> None:
    # predicted / measured are 1/2 and 1: their sum, 1.5, over the sum of their squares, 1.25
    assert fit_scale(array(1, 2), array(2, 2)) == pytest.approx(1.2)


def test_costs_of_one_source_are_those_of_a_plain_fit() -> None:
    work, measured = array([1, 3], [2, 1], [4, 4]), array(5, 6, 15)
    costs, scales = fit_costs_and_scales(work, measured, [0, 0, 0])
    assert costs.tolist() == fit_costs(work, measured).tolist()
    assert scales == {0: 1}


def test_another_source_says_how_costs_compare_and_source_0_how_large_they_are() -> None:
    # source 0 knows only that both together take 3 ms; in source 1 they take 2 and 4: costs 1 and 2, twice as slow
    costs, scales = fit_costs_and_scales(array([1, 1], [1, 0], [0, 1]), array(3, 2, 4), [0, 1, 1])
    assert costs == pytest.approx([1, 2])
    assert scales == pytest.approx({0: 1, 1: 2})


def test_a_source_that_disagrees_with_itself_has_the_scale_of_least_relative_error() -> None:
    # source 0 fixes the cost at 1; source 1 took 2 and 4 ms for a predicted 1: (1/2 + 1/4) / (1/4 + 1/16) = 2.4
    costs, scales = fit_costs_and_scales(array([1], [1], [1]), array(1, 2, 4), [0, 1, 1])
    assert costs == pytest.approx([1])
    assert scales == pytest.approx({0: 1, 1: 2.4})


def test_each_source_has_its_own_scale() -> None:
    _, scales = fit_costs_and_scales(array([1], [2], [3]), array(1, 1, 6), [0, 1, 2])
    assert scales == pytest.approx({0: 1, 1: 0.5, 2: 2})


def test_costs_do_not_depend_on_how_slow_another_source_is() -> None:
    work, sources = array([1, 1], [2, 1], [1, 0], [1, 2], [3, 1]), [0, 0, 1, 1, 1]
    costs, scales = fit_costs_and_scales(work, array(3, 4.2, 2, 9, 11), sources)
    slower_costs, slower_scales = fit_costs_and_scales(work, array(3, 4.2, 20, 90, 110), sources)
    assert slower_costs == pytest.approx(costs)
    assert slower_scales[1] == pytest.approx(10 * scales[1])


def test_a_fit_to_two_sources_is_least_in_the_sum_of_squared_relative_errors() -> None:
    work, measured, sources = array([1, 1], [2, 1], [1, 0], [1, 2], [3, 1]), array(3, 4.2, 2, 9, 11), [0, 0, 1, 1, 1]
    costs, scales = fit_costs_and_scales(work, measured, sources)

    def loss(first: float, second: float, scale: float) -> float:
        factors = array(1, 1, scale, scale, scale)
        return float(((factors * (work @ array(first, second)) / measured - 1) ** 2).sum())

    best = loss(costs[0], costs[1], scales[1])
    step = 1e-3
    beside = [
        loss(costs[0] + step * first, costs[1] + step * second, scales[1] + step * scale)
        for first, second, scale in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (1, 1, -1))
    ]
    assert best > 0
    assert best < min(beside)


def test_one_network_among_five_hundred_of_another_source_is_refused() -> None:
    work, measured = np.ones((501, 1)), array(1, *[2] * 500)
    with pytest.raises(InputError, match="1 of 501 networks are of the source that the costs are for; give it more"):
        fit_costs_and_scales(work, measured, [0] + [1] * 500)
