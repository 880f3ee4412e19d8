"""The spaces that ship: published sizes, and published networks on or near their points."""

from dataclasses import replace

import pytest

from search_spaces import Arch, Block, InputError, count, load_space, reference, shipped_spaces


def test_three_spaces_ship() -> None:
    assert shipped_spaces() == ["mnasnet", "mnasnet_small", "mobilenet_v3"]


@pytest.mark.parametrize("name", ["mnasnet", "mnasnet_small"])
def test_mnasnet_spaces_have_seven_blocks_of_432_choices(name: str) -> None:
    space = load_space(name)
    names = [decision.name for decision in space.decisions]
    sizes = [len(decision.choices) for decision in space.decisions]
    assert len(sizes) == 42
    # Tan et al. 2019, section 4.1: op 4, kernel 2, SE 2, skip 3, width 3, depth 3
    assert sizes == [4, 2, 2, 3, 3, 3] * 7
    assert [name.split(".")[0] for name in names] == [f"stage{block}" for block in range(1, 8) for _ in range(6)]
    assert space.cardinality == 2_807_929_681_968_365_568  # 432^7 = 2.8e18


def test_mnasnet_small_is_a_point_of_its_space() -> None:
    arch = reference("mnasnet_small")
    space = load_space("mnasnet_small")
    assert replace(space.decode(space.encode(arch)), name="mnasnet_small") == arch


def test_mobilenet_v2_with_relu_is_a_point_of_mnasnet() -> None:
    v2 = reference("mobilenet_v2")
    relu = replace(
        v2,
        stem=replace(v2.stem, activation="relu"),
        blocks=tuple(replace(block, activation="relu") for block in v2.blocks),
        head=replace(v2.head, activation="relu"),
    )
    space = load_space("mnasnet")
    assert replace(space.decode(space.encode(relu)), name="mobilenet_v2") == relu
    assert count(space.decode(space.encode(relu))).macs == 300_774_272


def test_mnasnet_a1_is_off_the_grid_that_it_was_found_on() -> None:
    # its fifth block has 112 channels, while 0.75, 1 and 1.25 times 96 are 72, 96 and 120
    with pytest.raises(InputError, match="'mnasnet_a1' is not a point of space 'mnasnet'"):
        load_space("mnasnet").encode(reference("mnasnet_a1"))


# The choices of each stage: op, kernel, SE (0 or 0.25), channels, depth; then the layer after the pool.
# Stage 1's ops are dconv, mbconv3; stage 2's dconv, mbconv3, mbconv4, mbconv6; the others' mbconv3, mbconv4, mbconv6.
V3_SMALL = (
    *(0, 0, 0, 0),  # no block: Small's 3x3 16 at stride 2 is in stage 2
    *(0, 0, 1, 0, 0),  # one dconv, 3x3, SE, 16
    *(1, 0, 0, 0, 0),  # two mbconv4 (published: 4.5 and 3.7), 3x3, 24
    *(2, 1, 1, 0, 1),  # three mbconv6 (published: 4, 6, 6), 5x5, SE, 40
    *(0, 1, 1, 0, 1),  # two mbconv3, 5x5, SE, 48
    *(2, 1, 1, 0, 1),  # three mbconv6, 5x5, SE, 96
    0,  # 1024
)
V3_LARGE = (
    *(0, 0, 0, 1),  # one dconv, 3x3, 16
    *(2, 0, 0, 1, 1),  # two mbconv4 (published: 4 and 3), 3x3, 24
    *(0, 1, 1, 2, 1),  # three mbconv3, 5x5, SE, 40
    *(0, 0, 0, 2, 2),  # four mbconv3 (published: 6, 2.5, 2.3, 2.3), 3x3, 80
    *(2, 0, 1, 2, 1),  # two mbconv6, 3x3, SE, 112
    *(2, 1, 1, 2, 1),  # three mbconv6, 5x5, SE, 160
    1,  # 1280
)


def structure(arch: Arch) -> list[tuple[object, ...]]:
    """All of a network but the widths inside its blocks, which NetAdapt changed one by one."""

    def block_structure(block: Block) -> tuple[object, ...]:
        gate = block.se.gate if block.se else None
        return (block.kind, block.kernel, block.stride, gate, block.activation, block.out_channels, block.skip)

    return [(arch.resolution, arch.classes, arch.stem, arch.head), *(block_structure(block) for block in arch.blocks)]


@pytest.mark.parametrize(
    ("tokens", "name", "expanded"),
    [
        (V3_SMALL, "mobilenet_v3_small", [16, 64, 96, 144, 240, 240, 120, 144, 288, 576, 576]),
        (
            V3_LARGE,
            "mobilenet_v3_large",
            [16, 64, 96, 72, 120, 120, 120, 240, 240, 240, 480, 672, 672, 960, 960],
        ),
    ],
)
def test_mobilenet_v3_networks_differ_from_points_of_their_space_in_expansions_alone(
    tokens: tuple[int, ...], name: str, expanded: list[int]
) -> None:
    point = load_space("mobilenet_v3").decode(tokens)
    assert structure(point) == structure(reference(name))
    assert [block.expanded for block in point.blocks] == expanded


def test_mobilenet_v3_squeezes_to_a_quarter_of_the_expansion() -> None:
    point = load_space("mobilenet_v3").decode(V3_LARGE)
    published = reference("mobilenet_v3_large")
    # where the expansions agree, from the 480 of the eleventh block on, the squeezes do: 120, 168, 168, 240, 240
    assert [block.se for block in point.blocks[10:]] == [block.se for block in published.blocks[10:]]
