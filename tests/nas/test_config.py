"""Where a search's settings come from, and what they may be."""

import pytest

from nas.config import SearchConfig, load_config
from nas.environment import available_cores
from nas.placement import check_placement, workers_and_cpus
from nas.recipe import FINAL, PROXY
from nas.recorded import read_config
from search_spaces import InputError


def test_the_command_line_goes_before_the_file_and_the_file_before_the_defaults(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("target_ms: 20\ntrials: 7\n")
    config = load_config(file, {"target_ms": 15.0})
    assert (config.target_ms, config.trials, config.device) == (15.0, 7, "pixel1")


def test_a_file_may_name_one_number_of_a_recipe_and_keep_the_others(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("target_ms: 20\nproxy: {recipe: {epochs: 3}}\nfinal: {learning_rate: 0.02}\n")
    config = load_config(file, {})
    assert config.proxy.recipe.epochs == 3
    assert config.proxy.recipe.least_steps == PROXY.least_steps
    assert config.final.learning_rate == 0.02
    assert config.final.epochs == FINAL.epochs


def test_a_resolved_configuration_reads_back_as_itself(tmp_path):
    config = load_config(None, {"target_ms": 15.0, "controller": "random"})
    again = load_config(None, {}, config.model_dump(mode="json"))
    assert again == config


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("target_ms: 20\ntrails: 7\nproxy: {resolution: 2}\nbatch: 0\n")
    with pytest.raises(InputError) as caught:
        load_config(file, {})
    text = str(caught.value)
    assert "unknown key 'trails' at the top level; did you mean 'trials'?" in text
    assert "proxy.resolution: input should be greater than or equal to 8, got 2" in text
    assert "batch: input should be greater than or equal to 1, got 0" in text


def test_a_resolved_configuration_says_what_was_left_open(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers").mkdir()
    config = load_config(None, {"target_ms": 15.0, "data": "flowers", "space": "mnasnet"}).resolved()
    assert config.w == -0.07
    assert config.data == str(tmp_path / "flowers")
    assert load_config(None, {"target_ms": 15.0, "data": "flwers"}).resolved().data == "flwers"  # for the message
    assert (config.device, config.space) == ("pixel1", "mnasnet")
    assert config.proxy.recipe.flip
    assert load_config(None, {"target_ms": 15.0, "reward": "hard"}).resolved().w == -1.0


def test_digits_are_never_flipped():
    config = load_config(None, {"target_ms": 15.0}).resolved()
    assert not config.proxy.recipe.flip
    assert not config.final.flip


def test_a_run_whose_configuration_lacks_something_is_not_filled_up_with_defaults(tmp_path):
    (tmp_path / "config.yaml").write_text("target_ms: 15.0\n")
    with pytest.raises(InputError, match=r"config.yaml lacks w, reward, tolerance, device"):
        read_config(SearchConfig, tmp_path, "nas-search")


@pytest.mark.parametrize("w", [-1000, float("nan"), 0.1])
def test_a_strength_that_no_reward_can_bear_says_what_would_do(w):
    with pytest.raises(InputError, match="suits small targets"):
        load_config(None, {"target_ms": 15.0, "w": w})


def test_an_unknown_number_of_a_recipe_is_named_with_its_likeness():
    with pytest.raises(InputError, match=r"unknown key 'epoch' at proxy.recipe; did you mean 'epochs'"):
        load_config(None, {"target_ms": 15.0, "proxy": {"recipe": {"epoch": 3}}})


def test_more_workers_than_cores_are_refused():
    config = load_config(None, {"target_ms": 15.0, "workers": 10_000})
    with pytest.raises(InputError, match="10000 workers with 1 cores each need 10000, and this machine has"):
        check_placement(config)


def test_a_cluster_gets_as_many_trials_of_one_core_as_it_has_room_for_and_this_machine_all_its_cores():
    config = load_config(None, {"target_ms": 15.0, "ray_address": "10.0.0.1:6379"})
    assert workers_and_cpus(config) == (None, 1)
    assert workers_and_cpus(config.model_copy(update={"workers": 3, "cpus_per_trial": 2})) == (3, 2)
    here = load_config(None, {"target_ms": 15.0})
    assert workers_and_cpus(here) == (available_cores(), 1)


def test_a_share_of_a_gpu_that_is_not_there_is_refused():
    config = load_config(None, {"target_ms": 15.0, "gpus_per_trial": 512})
    with pytest.raises(InputError, match="a trial asks for 512 GPU, and this machine has"):
        check_placement(config)


def test_a_recipe_out_of_bounds_is_named():
    with pytest.raises(InputError, match="epochs"):
        load_config(None, {"target_ms": 15.0, "final": {"epochs": 0}})


def test_shipped_experiments_are_valid_configurations():
    from pathlib import Path

    folder = Path(__file__).parent.parent.parent / "experiments"
    for name in ("digits", "small", "large"):
        assert isinstance(load_config(folder / f"{name}.yaml", {}), SearchConfig)
