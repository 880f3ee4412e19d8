"""nas-search --screen: how much the reward model has to say."""

import csv
import itertools
import sys
from pathlib import Path

import pytest
import torch
import yaml

from nas.commands import search as search_command


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A search on a table of all 27 networks of three decisions."""
    path = tmp_path / "known.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["tokens", "accuracy", "latency_ms"])
        for tokens in itertools.product(range(3), repeat=3):
            writer.writerow(["".join(map(str, tokens)), 0.5 + 0.05 * sum(tokens), 10 + sum(tokens)])
    out = ["--target-ms", "13", "--trials", "15", "--out", str(tmp_path / "run")]
    return ["nas-search", "--evaluator", "table", "--accuracies", str(path), *out]


def test_without_screening_the_policy_alone_proposes(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [*options, "--screen", "0"])
    with pytest.raises(SystemExit) as ended:
        search_command.main()
    assert ended.value.code == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["screen"] == 0
    state = torch.load(tmp_path / "run" / "controller.pt", weights_only=True)
    assert state["controller"]["options"]["screen"] == 0


def test_a_controller_without_a_reward_model_does_not_screen(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [*options, "--controller", "random", "--screen", "8"])
    with pytest.raises(SystemExit) as ended:
        search_command.main()
    assert ended.value.code == 2
    assert "unknown option 'screen'; controller 'random' takes no options" in capsys.readouterr().err
