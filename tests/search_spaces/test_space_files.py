"""Space files: written by people, so every mistake has one clear clause."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from search_spaces import FileError, load_space, space_from_dict

GOOD = {"name": "mine", "stem": {"channels": 8}, "stages": [{"channels": 8}], "head": {"conv_channels": 32}}


def problem(**changes: Any) -> str:
    """The message for a file with these changes."""
    with pytest.raises(FileError) as caught:
        space_from_dict({**GOOD, **changes}, "my.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_space_needs_few_lines(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    space = load_space(tmp_path / "my.yaml")
    assert (space.name, space.resolution, space.classes, space.sizes) == ("mine", 224, 1000, ())
    assert space.cardinality == 1


def test_defaults_hold_for_every_stage_that_says_nothing_else() -> None:
    stages = [{"channels": 8}, {"channels": 16, "kernel": 7}]
    space = space_from_dict({**GOOD, "defaults": {"kernel": [3, 5], "se": 0.5}, "stages": stages}, "my.yaml")
    assert [stage.kernel for stage in space.stages] == [(3, 5), (7,)]
    assert [stage.se for stage in space.stages] == [(0.5,), (0.5,)]


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"kernal": 3}, "unknown key 'kernal' at stages[0]; did you mean 'kernel'?"),
        ({"frobnicate": 3}, "unknown key 'frobnicate' at stages[0]"),
        ({"kernel": 4}, "stages[0].kernel[0]: a kernel must be odd (1, 3, 5, 7, ...), got 4"),
        ({"kernel": [3, 4]}, "stages[0].kernel[1]: a kernel must be odd (1, 3, 5, 7, ...), got 4"),
        ({"kernel": []}, "stages[0].kernel: an empty list leaves nothing to choose; give one value or more"),
        ({"kernel": [3, 5, 3]}, "stages[0].kernel: 3 stands in the list twice; give each choice once"),
        (
            {"depth": [0, 1], "stride": 2},
            "stages[0]: a depth of 0 would drop the stage's stride of 2; allow it at stride 1 only",
        ),
        (
            {"op": ["conv", "mbconv0.5"]},
            "stages[0].op[1]: op must be conv, dconv or mbconvE with E of at least 1 (mbconv3, mbconv2.5), "
            "got 'mbconv0.5'",
        ),
        (
            {"op": "inverted"},
            "stages[0].op[0]: op must be conv, dconv or mbconvE with E of at least 1 (mbconv3, mbconv2.5), "
            "got 'inverted'",
        ),
        ({"se": 2}, "stages[0].se[0]: input should be less than or equal to 1, got 2"),
        ({"width": 0}, "stages[0].width[0]: input should be greater than 0, got 0"),
        (
            {"activation": "swish"},
            "stages[0].activation[0]: input should be 'relu', 'relu6' or 'hswish', got 'swish'",
        ),
        ({"skip": ["identity", "add"]}, "stages[0].skip[1]: input should be 'none', 'identity' or 'pool', got 'add'"),
    ],
)
def test_a_wrong_stage_is_named_with_its_place_and_what_is_allowed(stage: dict[str, Any], message: str) -> None:
    assert problem(stages=[{"channels": 8, **stage}]) == f"my.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": []}, "stages: list should have at least 1 item after validation, not 0, got []"),
        ({"stem": 16}, "stem: must be a mapping of keys to values, got 16"),
        ({"stem": {"channels": 8, "kernel": 2}}, "stem.kernel: a kernel must be odd (1, 3, 5, 7, ...), got 2"),
        ({"defaults": [3]}, "defaults: must be a mapping of keys to values, got [3]"),
        ({"resolutoin": 96}, "unknown key 'resolutoin' at the top level; did you mean 'resolution'?"),
        ({"rules": {"gait": "sigmoid"}}, "unknown key 'gait' at rules; did you mean 'gate'?"),
        ({"head": {}}, "head: give either conv_channels or conv_expansion (times the last stage's channels)"),
        (
            {"head": {"conv_channels": 8, "conv_expansion": 6}},
            "head: give either conv_channels or conv_expansion (times the last stage's channels)",
        ),
        (
            {"stages": [{"channels": 8, "depth": [0, 1]}]},
            "the top level: every stage allows a depth of 0, which leaves a network without blocks; let one not",
        ),
    ],
)
def test_a_wrong_file_is_named_with_its_place_and_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    assert problem(**changes) == f"my.yaml: {message}"


def test_missing_parts_are_all_named() -> None:
    with pytest.raises(FileError) as caught:
        space_from_dict({}, "my.yaml")
    assert str(caught.value) == "my.yaml: name is missing; stem is missing; stages is missing; head is missing"


def test_all_problems_of_a_file_are_named_at_once() -> None:
    stages = [{"channels": 8, "kernel": 4}, {"channels": [], "strid": 2}]
    message = problem(stages=stages, head={"conv_channels": 0}, classes=0)
    assert message.split("; ") == [
        "my.yaml: classes: input should be greater than 0, got 0",
        "stages[0].kernel[0]: a kernel must be odd (1, 3, 5, 7, ...), got 4",
        "stages[1].channels: an empty list leaves nothing to choose",
        "give one value or more",
        "unknown key 'strid' at stages[1]",
        "did you mean 'stride'?",
        "head.conv_channels[0]: input should be greater than 0, got 0",
    ]


def test_a_problem_of_the_defaults_is_named_once_and_there() -> None:
    stages = [{"channels": 8}, {"channels": 16}, {"channels": 24, "se": 3}]
    message = problem(defaults={"kernal": 3, "op": []}, stages=stages)
    assert message == (
        "my.yaml: defaults.op: an empty list leaves nothing to choose; give one value or more; "
        "unknown key 'kernal' at defaults; did you mean 'kernel'?; "
        "stages[2].se[0]: input should be less than or equal to 1, got 3"
    )


def test_an_unknown_space_is_refused_with_those_that_ship(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        load_space("mnasnt")
    assert str(caught.value) == (
        "unknown space 'mnasnt'; give one of mnasnet, mnasnet_small, mobilenet_v3, or a YAML file"
    )


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"my\.yaml must hold a mapping of keys to values, got list"):
        load_space(tmp_path / "my.yaml")


def test_a_file_that_is_no_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("stages: [\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"my\.yaml is not YAML: ") as caught:
        load_space(tmp_path / "my.yaml")
    assert "\n" not in str(caught.value)
