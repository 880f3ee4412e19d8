"""Where a search's settings come from, and what they may be."""

import pytest

from nas.config import SearchConfig, load_config
from nas.recipe import FINAL, PROXY
from search_spaces import InputError


def test_the_command_line_goes_before_the_file_and_the_file_before_the_defaults(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("target_ms: 20\ntrials: 7\n")
    config = load_config(file, {"target_ms": 15.0, "trials": None})
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


def test_a_recipe_out_of_bounds_is_named():
    with pytest.raises(InputError, match="epochs"):
        load_config(None, {"target_ms": 15.0, "final": {"epochs": 0}})


def test_shipped_experiments_are_valid_configurations():
    from pathlib import Path

    folder = Path(__file__).parent.parent.parent / "experiments"
    for name in ("digits", "small", "large"):
        assert isinstance(load_config(folder / f"{name}.yaml", {}), SearchConfig)
