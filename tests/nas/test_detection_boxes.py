"""Boxes, anchors, matching and suppression, by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas.detection.anchors import anchor_shapes, anchors_of
from nas.detection.boxes import centres, corners, decode, encode, overlap
from nas.detection.matching import match
from nas.detection.suppression import detections, suppress
from search_spaces.detection import reference_detector


def boxes(*rows: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def test_overlap_is_the_shared_part_of_what_both_cover() -> None:
    one = boxes((0, 0, 0.2, 0.2))
    others = boxes((0.1, 0.1, 0.3, 0.3), (0, 0, 0.2, 0.2), (0.2, 0, 0.4, 0.2), (0, 0, 0.1, 0.2))
    # 0.01 of 0.04 + 0.04 - 0.01; all; they only touch; half
    assert overlap(one, others).tolist() == pytest.approx([1 / 7, 1, 0, 0.5])


def test_boxes_of_no_area_overlap_nothing_and_give_no_nan() -> None:
    point = boxes((0.1, 0.1, 0.1, 0.1))
    assert overlap(point, point).tolist() == [0]


def test_corners_and_centres_are_two_ways_to_write_a_box() -> None:
    assert centres(boxes((0.1, 0.2, 0.5, 0.4))).tolist()[0] == pytest.approx([0.3, 0.3, 0.4, 0.2])
    assert corners(boxes((0.3, 0.3, 0.4, 0.2))).tolist()[0] == pytest.approx([0.1, 0.2, 0.5, 0.4])


def test_codes_are_scaled_offsets_and_logarithms_of_sizes() -> None:
    anchor = boxes((0.5, 0.5, 0.2, 0.4))
    box = boxes((0.45, 0.5, 0.65, 0.7))  # centre (0.55, 0.6), size (0.2, 0.2)
    # 10 * 0.05 / 0.2, 10 * 0.1 / 0.4, 5 * ln 1, 5 * ln 0.5
    assert encode(box, anchor).tolist()[0] == pytest.approx([2.5, 2.5, 0, -3.4657359], abs=1e-5)


unit = st.floats(0.05, 0.95)


@settings(max_examples=50, deadline=None)
@given(st.tuples(unit, unit, unit, unit), st.tuples(unit, unit, unit, unit))
def test_decoding_is_the_inverse_of_encoding(centred: tuple[float, ...], anchor: tuple[float, ...]) -> None:
    box, seen_from = corners(torch.tensor(centred)), torch.tensor(anchor)
    assert decode(encode(box, seen_from), seen_from).tolist() == pytest.approx(box.tolist(), abs=1e-5)


def test_a_detector_at_320_pixels_has_the_papers_2034_anchors() -> None:
    anchors = anchors_of(reference_detector("mobilenet_v3_large"))
    assert anchors.shape == (2034, 4)  # 400 * 3 + (100 + 25 + 9 + 4 + 1) * 6
    # the first place of the first map: a small square, one twice as wide as high, one twice as high as wide
    expected = [[0.025, 0.025, 0.1, 0.1], [0.025, 0.025, 0.282843, 0.141421], [0.025, 0.025, 0.141421, 0.282843]]
    assert anchors[:3].tolist() == [pytest.approx(row, abs=1e-5) for row in expected]
    assert anchors[3, :2].tolist() == pytest.approx([0.075, 0.025])  # columns before rows
    assert anchors[-1].tolist() == pytest.approx([0.5, 0.5, 0.974679, 0.974679], abs=1e-5)  # sqrt(0.95 * 1)


def test_scales_rise_evenly_from_map_to_map() -> None:
    shapes = anchor_shapes(6, 0.2, 0.95)
    assert [of_map[0] for of_map in shapes[1:]] == [
        pytest.approx((scale, scale)) for scale in (0.35, 0.5, 0.65, 0.8, 0.95)
    ]
    assert shapes[1][3] == pytest.approx((0.35 * 3**0.5, 0.35 / 3**0.5))
    assert shapes[1][5] == pytest.approx(((0.35 * 0.5) ** 0.5,) * 2)


def test_anchors_take_the_box_that_they_overlap_most_from_one_half_on() -> None:
    anchors = boxes((0, 0, 0.4, 0.4), (0, 0, 0.4, 0.19), (0, 0, 0.4, 0.2), (0.5, 0.5, 1, 1))
    # overlaps 1, 0.475, 0.5 and 0
    assert match(boxes((0, 0, 0.4, 0.4)), anchors).tolist() == [0, -1, 0, -1]


def test_every_box_has_an_anchor_even_one_that_overlaps_another_box_more() -> None:
    anchors = boxes((0, 0, 0.4, 0.4), (0.6, 0.6, 1, 1))
    small = (0.3, 0.3, 0.42, 0.42)  # its best anchor is the first, which overlaps the large box more
    assert match(boxes((0, 0, 0.4, 0.4), small), anchors).tolist() == [1, -1]


def test_without_boxes_no_anchor_is_matched() -> None:
    assert match(boxes(), boxes((0, 0, 1, 1), (0, 0, 0.5, 0.5))).tolist() == [-1, -1]


# a; b, which overlaps a by 0.05 * 0.2 less: 0.15 / 0.25 = 0.6; c, which overlaps a by 0.16 / 0.24 = 2 / 3; d, apart
CROWD = boxes((0, 0, 0.2, 0.2), (0.05, 0, 0.25, 0.2), (0.04, 0, 0.24, 0.2), (0.7, 0.7, 0.9, 0.9))


def test_of_boxes_that_overlap_too_much_the_surest_stays() -> None:
    scores = torch.tensor([[[0.9, 0.5, 0.8, 0.7]]])
    assert suppress(CROWD[None], scores, 4, 0.61, 0.1).tolist() == [[[0, 3, 1, -1]]]
    assert suppress(CROWD[None], scores, 4, 0.59, 0.1).tolist() == [[[0, 3, -1, -1]]]


def test_classes_and_images_are_suppressed_by_themselves() -> None:
    scores = torch.tensor([[[0.9, 0, 0.8, 0], [0, 0, 0.8, 0]], [[0, 0, 0.3, 0], [0, 0, 0, 0]]])
    found = suppress(CROWD[None].expand(2, -1, -1), scores, 2, 0.6, 0.1)
    assert found.tolist() == [[[0, -1], [2, -1]], [[2, -1], [-1, -1]]]


def test_detections_are_ordered_limited_and_cut_at_the_edges() -> None:
    logits = torch.tensor([[[9.0, -1.0, -9.0], [9.0, -9.0, 2.0]]])  # the background's come first, and say nothing
    (found,) = detections(logits, boxes((-0.1, 0.2, 0.5, 1.3), (0.6, 0.6, 0.9, 0.9))[None], least_score=0.1)
    assert found.labels.tolist() == [1, 0]
    assert found.scores.tolist() == pytest.approx([0.880797, 0.268941], abs=1e-5)
    assert found.boxes.tolist() == [pytest.approx([0.6, 0.6, 0.9, 0.9]), pytest.approx([0, 0.2, 0.5, 1])]
    (first,) = detections(logits, boxes((-0.1, 0.2, 0.5, 1.3), (0.6, 0.6, 0.9, 0.9))[None], limit=1)
    assert first.labels.tolist() == [1]


def test_where_nothing_is_sure_enough_nothing_is_found() -> None:
    (found,) = detections(torch.full((1, 2, 3), -9.0), CROWD[None, :2], least_score=0.1)
    assert (len(found.boxes), len(found.scores), len(found.labels)) == (0, 0, 0)
