"""`nas.batches`: each step's images, divided among a team's processes and each one's parts."""

import numpy as np
import pytest
import torch

from nas.batches import Batches
from nas.classification import Classification, Options
from nas.data import ImageData
from nas.team import Team
from search_spaces import Arch, Block, Head, InputError, Stem

ARCH = Arch("tiny", 8, 2, Stem(8, stride=1), (Block("mbconv", 8, 3, 2, expanded=16),), Head(16))
CPU = torch.device("cpu")


def task(count: int = 20) -> Classification:
    """Images of one grey each, image i being i of 255; all to train with but the last two."""
    images = np.repeat(np.arange(count, dtype=np.uint8), 8 * 8 * 3).reshape(count, 8, 8, 3)
    indices = np.arange(count)
    data = ImageData(images, indices % 2, indices[:-2], indices[-2:], ("even", "odd"), "grey", fingerprint="0")
    return Classification(ARCH, data, Options(crop_padding=0, flip=False))


def batches(batch_size: int, accumulate: int = 1, team: Team = Team(), count: int = 20, seed: int = 0) -> Batches:  # noqa: B008
    return Batches(task(count), batch_size, accumulate, seed, team)


def shown(of: Batches, epoch: int = 0, first: int = 0) -> list[list[tuple[list[int], float]]]:
    """The greys of each part of each step, with the part's share."""
    return [
        [([round(float(image.mean()) * 255) for image in images], share) for (images, _), share in step]
        for step in of.epoch(epoch, first, CPU)
    ]


def flat(steps: list[list[tuple[list[int], float]]]) -> list[int]:
    return [grey for step in steps for greys, _ in step for grey in greys]


def test_an_epoch_is_full_steps_of_different_training_images() -> None:
    steps = shown(batches(4))
    assert [[len(greys) for greys, _ in step] for step in steps] == [[4]] * 4  # two of 18 wait for another epoch
    assert len(set(flat(steps))) == 16
    assert set(flat(steps)) <= set(range(18))


def test_epochs_and_seeds_differ_and_the_same_ones_do_not() -> None:
    assert flat(shown(batches(4))) == flat(shown(batches(4)))
    assert flat(shown(batches(4))) != flat(shown(batches(4), epoch=1))
    assert flat(shown(batches(4))) != flat(shown(batches(4, seed=1)))


def test_any_step_can_be_begun_with() -> None:
    assert shown(batches(4), first=2) == shown(batches(4))[2:]


def test_data_smaller_than_a_batch_make_one_step() -> None:
    assert [[len(greys) for greys, _ in step] for step in shown(batches(64))] == [[18]]


def test_parts_and_workers_share_the_same_steps() -> None:
    whole = shown(batches(6))
    parts = shown(batches(6, accumulate=2))
    workers = [shown(batches(6, team=Team(rank, 2))) for rank in range(2)]
    assert [[(len(greys), share) for greys, share in step] for step in parts] == [[(3, 0.5), (3, 0.5)]] * 3
    assert flat(parts) == flat(whole)
    assert [step[0] for step in workers[0]] == [step[0] for step in parts]
    assert [step[0] for step in workers[1]] == [step[1] for step in parts]


def test_what_does_not_divide_evenly_counts_by_its_images() -> None:
    (step,) = shown(batches(64, accumulate=4, team=Team(1, 2), count=9))  # 7 images: 4 and 3, these 1, 1, 1 and none
    assert [(len(greys), share) for greys, share in step] == [(1, pytest.approx(1 / 7))] * 3


def test_every_worker_has_an_image_or_the_training_is_refused() -> None:
    sizes = [[len(greys) for greys, _ in shown(batches(3, 2, Team(rank, 2)))[0]] for rank in range(2)]
    assert sizes == [[1, 1], [1]]
    with pytest.raises(InputError, match="a step of 3 images is too small for 4 workers; give fewer --workers"):
        batches(3, 1, Team(0, 4))
