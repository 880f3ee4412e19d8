"""Names, options and sizes that `create` takes and refuses."""

import subprocess
import sys

import pytest

from controllers import create, names
from search_spaces import InputError


def test_names_are_sorted() -> None:
    assert names() == ["evolution", "ppo", "random", "reinforce"]


def test_an_unknown_controller_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"unknown controller 'reinforse'; known are evolution, .*; did you mean"):
        create("reinforse", (2, 3))


def test_an_unknown_option_is_refused_with_the_one_meant() -> None:
    with pytest.raises(InputError, match="unknown option 'lerning_rate' of controller 'reinforce'; did you mean 'lear"):
        create("reinforce", (2, 3), options={"lerning_rate": 0.1})


def test_an_option_far_from_all_lists_those_known() -> None:
    with pytest.raises(InputError, match="known are baseline_decay, bias_rate, boldness"):
        create("reinforce", (2, 3), options={"zzz": 1})


def test_random_takes_no_options() -> None:
    with pytest.raises(InputError, match="unknown option 'hidden'; controller 'random' takes no options"):
        create("random", (2, 3), options={"hidden": 10})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("learning_rate", 0.0, "learning_rate must be more than 0, got 0"),
        ("learning_rate", "1e-3", "option 'learning_rate' of controller 'reinforce' must be a finite number"),
        ("learning_rate", float("nan"), "must be a finite number, got nan"),
        ("learning_rate", True, "must be a finite number, got True"),
        ("entropy_weight", -0.1, "entropy_weight must be at least 0, got -0.1"),
        ("baseline_decay", 1.0, "baseline_decay must be at least 0 and at most 0.9999, got 1"),
        ("hidden", 0, "hidden must be at least 1, got 0"),
        ("hidden", 2.5, "must be a whole number, got 2.5"),
        ("importance_limit", 0, "importance_limit must be more than 0"),
        ("normalise_advantages", 1, "must be true or false, got 1"),
        ("screen", -1, "screen must be at least 0, got -1"),
        ("elites", 0, "elites must be at least 1, got 0"),
    ],
)
def test_an_option_of_the_wrong_type_or_range_is_refused(option: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        create("reinforce", (2, 3), options={option: value})


def test_a_whole_number_does_where_any_number_is_allowed() -> None:
    same = create("reinforce", (2, 3), options={"entropy_weight": 1}).state_dict()
    assert same["options"]["entropy_weight"] == 1.0


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((), "at least one decision, got no sizes"), ((2, 0), "decision 1 has 0 choices"), ((-1,), "decision 0 has -1")],
)
def test_sizes_without_a_choice_are_refused(sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create("random", sizes)


def test_random_search_loads_no_tensor_library() -> None:
    program = "import sys, controllers; controllers.create('random', (2, 3)).ask(1); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
