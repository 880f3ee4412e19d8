from collections import Counter

from latency.published import pixel1, pixel1_hswish
from search_spaces import count


def test_pixel1_has_the_19_networks_of_table_9_and_4_of_table_3() -> None:
    families = Counter(network.family for network in pixel1())
    assert families == {
        "mobilenet_v3_large": 10,
        "mobilenet_v3_small": 9,
        "mobilenet_v2": 2,
        "mnasnet and proxyless": 2,
    }


def test_every_published_network_is_another_one() -> None:
    networks = pixel1() + pixel1_hswish()
    assert len({network.arch.key for network in networks}) == len(networks) == 26


def test_mobilenet_v3_large_has_the_published_latency_and_macs() -> None:
    # Howard et al. 2019, table 9: 51.2 ms, 217 M
    found = {network.latency_ms: count(network.arch).macs for network in pixel1()}
    assert found[51.2] == 216_591_040


def test_the_h_swish_rows_differ_only_in_their_activations() -> None:
    assert {count(network.arch).macs for network in pixel1_hswish()} == {216_591_040}
    activated = [[block.activation for block in network.arch.blocks].count("hswish") for network in pixel1_hswish()]
    assert activated == [0, 5, 15]  # none; the blocks of 112 and 160 channels; all
