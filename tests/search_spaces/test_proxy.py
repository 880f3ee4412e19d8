"""The proxy network: the deployed one's blocks for small images."""

import random

from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Arch, load_space, lower, proxy_arch, reference


def strides(arch: Arch) -> list[int]:
    return [arch.stem.stride, *(block.stride for block in arch.blocks)]


def test_on_large_images_only_resolution_and_classes_change() -> None:
    arch = reference("mobilenet_v3_small")
    proxy = proxy_arch(arch, resolution=64, classes=10)
    assert (proxy.resolution, proxy.classes) == (64, 10)
    assert (proxy.stem, proxy.blocks, proxy.head) == (arch.stem, arch.blocks, arch.head)  # 64 / 2^5 = 2 is enough


def test_on_small_images_strides_go_from_the_stem_on() -> None:
    arch = reference("mobilenet_v3_small")
    assert strides(arch) == [2, 2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1]
    # 32 / 2^5 = 1: one stride goes, 32 / 2^4 = 2
    assert strides(proxy_arch(arch, 32, 10)) == [1, 2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1]
    # 8 / 2^2 = 2: three go
    assert strides(proxy_arch(arch, 8, 10)) == [1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1]


def test_the_smallest_map_can_be_asked_for() -> None:
    # 32 / 2^3 = 4
    assert strides(proxy_arch(reference("mobilenet_v3_small"), 32, 10, smallest_map=4))[:5] == [1, 1, 2, 1, 2]


def test_widths_kernels_and_expansions_stay() -> None:
    arch = reference("mobilenet_v3_large")
    kept = [(block.kernel, block.expanded, block.out_channels, block.se) for block in arch.blocks]
    proxy = proxy_arch(arch, 16, 10)
    assert [(block.kernel, block.expanded, block.out_channels, block.se) for block in proxy.blocks] == kept


@given(st.integers(0, 2**32), st.integers(4, 64), st.integers(1, 4))
def test_the_last_map_keeps_the_size_that_was_asked_for(seed: int, resolution: int, smallest_map: int) -> None:
    space = load_space("mnasnet_small")
    proxy = proxy_arch(space.decode(space.sample(random.Random(seed))), resolution, 10, smallest_map)
    (pool,) = (op for op in lower(proxy) if op.kind == "pool")
    assert min(pool.height, pool.width) >= smallest_map
