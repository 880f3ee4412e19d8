"""Architectures as data: what is accepted, what is refused, and the key."""

import re
from dataclasses import replace
from typing import Any

import pytest

from search_spaces import Arch, ArchError, Block, Head, InputError, KindError, SqueezeExcite, Stem, reference

TINY = Arch("tiny", 32, 10, Stem(8), (Block("mbconv", 8, 3, 1, 8, skip="identity"),), Head(16))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stem(0), "stem: channels must be a whole number of at least 1, got 0"),
        (lambda: Stem(8, kernel=2), "stem: kernel must be odd, got 2"),
        (lambda: Stem(8, activation="swish"), "stem: activation must be one of relu, relu6, hswish, got 'swish'"),
        (lambda: SqueezeExcite(8, "tanh"), "squeeze-and-excite: gate must be one of sigmoid, hard_sigmoid, got 'tanh'"),
        (lambda: SqueezeExcite(True, "sigmoid"), "channels must be a whole number of at least 1, got True"),
        (lambda: Block("conv", 8, 4, 1), "block: kernel must be odd, got 4"),
        (lambda: Block("conv", 8, 3, 0), "block: stride must be a whole number of at least 1, got 0"),
        (lambda: Block("conv", 8, 3, 1, 24), "a conv block has no expansion, so expanded must be 0, got 24"),
        (lambda: Block("mbconv", 8, 3, 1), "block: expanded must be a whole number of at least 1, got 0"),
        (lambda: Block("conv", 8, 3, 1, skip="add"), "block: skip must be one of none, identity, pool, got 'add'"),
        (lambda: Head(16, -1), "head: hidden_channels must be 0 (none) or more, got -1"),
        (lambda: Head(1.5), "head: conv_channels must be a whole number of at least 1, got 1.5"),
    ],
)
def test_parts_that_cannot_be_built_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ArchError, match=re.escape(message)):
        make()


def test_a_block_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KindError, match="unknown block kind 'dense'; known are conv, mbconv"):
        Block("dense", 8, 3, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 0}, "network 'tiny': classes must be a whole number of at least 1, got 0"),
        ({"blocks": ()}, "network 'tiny' has no blocks; at least one is needed"),
        (
            {"blocks": (Block("mbconv", 16, 3, 1, 8, skip="identity"),)},
            "network 'tiny', block 0: skip 'identity' needs equal channels, got 8 in and 16 out",
        ),
        (
            {"blocks": (*TINY.blocks, Block("mbconv", 8, 3, 2, 8, skip="identity"))},
            "network 'tiny', block 1: skip 'identity' needs stride 1, got 2",
        ),
        ({"blocks": (Block("conv", 16, 3, 2, skip="pool"),)}, "skip 'pool' needs equal channels, got 8 in and 16 out"),
    ],
)
def test_networks_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchError, match=re.escape(message)):
        replace(TINY, **change)


def test_an_arch_error_is_the_users_to_mend() -> None:
    assert issubclass(ArchError, InputError)
    assert issubclass(InputError, ValueError)


def test_with_inputs_gives_each_block_what_it_receives() -> None:
    channels = [channels for _, channels in reference("mobilenet_v3_small").with_inputs()]
    assert channels == [16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96]


def test_key_is_of_the_structure_and_not_of_the_name() -> None:
    assert replace(TINY, name="other").key == TINY.key


def test_key_is_the_same_in_every_process_and_version() -> None:
    # of the JSON of all fields but the name, sorted, without blanks; runs and tables hold such keys
    assert TINY.key == "7a59fb9f57a06513"


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 33},
        {"classes": 11},
        {"stem": Stem(8, activation="relu6")},
        {"blocks": (Block("mbconv", 8, 3, 1, 8),)},
        {"blocks": (Block("mbconv", 8, 3, 1, 8, SqueezeExcite(8, "sigmoid"), skip="identity"),)},
        {"head": Head(16, 8)},
    ],
)
def test_key_changes_with_the_structure(change: dict[str, Any]) -> None:
    assert replace(TINY, **change).key != TINY.key
