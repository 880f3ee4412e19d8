from collections import Counter

from latency.published import pixel1, pixel1_hswish, pixel1_readme, pixel2, pixel3
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


def test_the_readme_has_22_networks_of_another_source() -> None:
    networks = pixel1_readme()
    assert len({network.arch.key for network in networks}) == len(networks) == 22
    assert {network.family for network in networks} == {"mobilenet_v2"}
    assert {network.source for network in networks}.isdisjoint({network.source for network in pixel1()})


def test_one_network_has_two_latencies_on_a_pixel_1() -> None:
    # MobileNetV2 1.0 at 224: 64 ms in Howard et al. 2019, table 3; 73.8 in its README
    found = [network.latency_ms for network in pixel1() + pixel1_readme() if count(network.arch).macs == 300_775_552]
    assert found == [64.0, 73.8]


def test_readme_latencies_stand_beside_their_width_and_size() -> None:
    # the README's own multiply-adds: 1.4 at 224 px (138 ms) has 582 M, 1.0 at 96 (17.6) 56 M, 0.5 at 160 (14.9) 50 M
    macs = {network.latency_ms: round(count(network.arch).macs / 1e6) for network in pixel1_readme()}
    assert (macs[138.0], macs[17.6], macs[14.9]) == (582, 56, 50)


def test_pixel_2_and_3_have_the_8_networks_of_table_3_whose_architecture_is_known() -> None:
    # Howard et al. 2019, table 3: V3-Large 1.0 takes 51, 61 and 44 ms on the three phones; V2 0.35 16.6, 19.6 and 13.9
    second, third = pixel2(), pixel3()
    assert [network.arch for network in second] == [network.arch for network in third]
    assert [network.latency_ms for network in second] == [61, 46, 86, 84, 76, 19.4, 15.6, 19.6]
    assert [network.latency_ms for network in third] == [44, 40, 61, 60, 56, 14.4, 11.7, 13.9]


def test_every_network_of_pixel_2_is_one_of_pixel_1() -> None:
    assert {network.arch.key for network in pixel2()} <= {network.arch.key for network in pixel1()}
