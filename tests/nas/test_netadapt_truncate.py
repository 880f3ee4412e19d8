"""Cutting channels: the narrower network computes what the wider one does with the other channels masked."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.netadapt.groups import layers, targets
from nas.netadapt.proposals import Proposer
from nas.netadapt.truncate import kept_channels, truncated
from nas.network import build
from search_spaces import Arch, Block, Head, Stem, count, load_space, proxy_arch, reference, references, shipped_spaces

SMALL = Arch(
    "small",
    16,
    3,
    Stem(16),
    (
        Block("mbconv", 16, 3, 1, 16, skip="identity"),
        Block("mbconv", 24, 3, 2, 48),
        Block("conv", 24, 3, 1, skip="pool"),
    ),
    Head(32),
)


def by_macs(archs):
    return [count(arch).macs / 1e6 for arch in archs]


def proposer(arch):
    return Proposer.of(arch, by_macs, 0.01 * by_macs([arch])[0])


@st.composite
def networks(draw):
    """A published network, scaled down, or a random one of a shipped space, at a size that is quick to run."""
    name = draw(st.sampled_from([*references(), *shipped_spaces()]))
    if name in references():
        return proxy_arch(reference(name, width=draw(st.sampled_from([0.35, 0.5]))), 32, 10)
    space = load_space(name)
    return proxy_arch(space.decode(space.sample(random.Random(draw(st.integers(0, 10**6))))), 32, 10)


def trained_looking(arch, seed):
    """A network whose weights, biases, running means and variances are all drawn, as training leaves them."""
    torch.manual_seed(seed)
    network = build(arch).eval()
    for name, values in network.state_dict().items():
        if name.endswith(("running_var", "norm.weight", "std")):
            values.copy_(0.5 + torch.rand_like(values))
        elif values.is_floating_point() and values.ndim <= 1:
            values.copy_(torch.randn_like(values) * 0.3)
    return network


def masked_output(network, arch, kept, images):
    """Run the whole network with every channel that was cut set to 0, behind each layer's batch norm and activation."""
    hooks = []
    for layer in layers(arch):
        mask = torch.zeros(layer.conv.out_channels)
        mask[kept[layer.name]] = 1

        def hide(module, inputs, output, mask=mask):
            return output * (mask[:, None, None] if output.ndim == 4 else mask)

        hooks.append(network.get_submodule(layer.name).register_forward_hook(hide))
    with torch.inference_mode():
        output = network(images)
    for hook in hooks:
        hook.remove()
    return output


@settings(max_examples=12)
@given(networks(), st.integers(0, 1000), st.sampled_from(["norm", "first-n"]))
def test_a_cut_network_computes_what_the_whole_one_does_with_the_other_channels_masked(arch, seed, keep):
    rng = random.Random(seed)
    network, propose, narrow = trained_looking(arch, seed), proposer(arch), arch
    for _ in range(3):  # several targets at once
        narrow = rng.choice(propose(narrow, by_macs([narrow])[0])).arch
    weights = network.state_dict()
    kept = kept_channels(arch, narrow, weights, keep)
    cut = build(narrow).eval()
    cut.load_state_dict(truncated(arch, narrow, weights, keep))
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        given_by_cut = cut(images)
    torch.testing.assert_close(given_by_cut, masked_output(network, arch, kept, images), rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        assert not torch.allclose(given_by_cut, network(images), rtol=1e-4, atol=1e-4)  # or the masks hid nothing


def test_a_group_keeps_the_channels_whose_filters_weigh_most_over_all_its_makers():
    weights = build(SMALL).state_dict()
    for name in ("stem.conv.weight", "blocks.0.project.conv.weight"):
        weights[name].fill_(0)
    # squared norms: channel 3 has 9 from the stem, channel 5 has 4 + 4, channel 7 has 6.25, the others nothing
    weights["stem.conv.weight"][3, 0, 0, 0] = 3
    weights["stem.conv.weight"][5, 0, 0, 0] = 2
    weights["blocks.0.project.conv.weight"][5, 0, 0, 0] = 2
    weights["blocks.0.project.conv.weight"][7, 0, 0, 0] = 2.5
    (group,) = [group for group in targets(SMALL) if group.stem]
    kept = kept_channels(SMALL, group.resized(SMALL, 8), weights, "norm")
    assert kept["stem"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]  # at equal norms the earlier ones
    weights["stem.conv.weight"][12, 0, 0, 0] = 1
    kept = kept_channels(SMALL, group.resized(SMALL, 8), weights, "norm")
    assert kept["stem"].tolist() == [0, 1, 2, 3, 4, 5, 7, 12]
    assert kept["blocks.0.project"].tolist() == kept["blocks.0.depthwise"].tolist() == kept["stem"].tolist()


def test_first_n_keeps_the_first_channels():
    (group,) = [group for group in targets(SMALL) if group.name == "expansion of block 1"]
    kept = kept_channels(SMALL, group.resized(SMALL, 40), build(SMALL).state_dict(), "first-n")
    assert kept["blocks.1.expand"].tolist() == list(range(40))


def test_the_same_network_keeps_all_its_weights():
    weights = build(SMALL).state_dict()
    again = truncated(SMALL, SMALL, weights)
    assert list(again) == list(weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_a_network_of_other_layers_or_wider_ones_inherits_nothing():
    weights = build(SMALL).state_dict()
    with pytest.raises(ValueError, match="has other layers than small"):
        kept_channels(SMALL, replace(SMALL, blocks=SMALL.blocks[:2]), weights, "norm")
    (group,) = [group for group in targets(SMALL) if group.stem]
    with pytest.raises(ValueError, match="stem has 16 channels; it cannot be cut to 24"):
        kept_channels(SMALL, group.resized(SMALL, 24), weights, "norm")
