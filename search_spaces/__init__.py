"""Architectures and search spaces as data: no tensor library, no cluster."""

from search_spaces.arch import Arch, ArchError, Block, Head, SqueezeExcite, Stem
from search_spaces.arch_files import arch_from_dict, arch_to_dict, load_arch, save_arch
from search_spaces.checked import FileError, check, read_yaml
from search_spaces.count import Count, count, count_op, count_ops
from search_spaces.errors import InputError
from search_spaces.kinds import BlockKind, KindError, known_kinds, register_kind
from search_spaces.op import Conv, Op, lower
from search_spaces.proxy import proxy_arch
from search_spaces.reference import check_resolution, reference, references
from search_spaces.space import Decision, SearchSpace
from search_spaces.space_files import load_space, shipped_spaces, space_from_dict, space_text
from search_spaces.transforms import (
    efficient_last_stage,
    original_last_stage,
    place_activation,
    with_squeeze,
    with_stem,
)

__all__ = [
    "Arch",
    "ArchError",
    "Block",
    "BlockKind",
    "Conv",
    "Count",
    "Decision",
    "FileError",
    "Head",
    "InputError",
    "KindError",
    "Op",
    "SearchSpace",
    "SqueezeExcite",
    "Stem",
    "arch_from_dict",
    "arch_to_dict",
    "check",
    "check_resolution",
    "count",
    "count_op",
    "count_ops",
    "efficient_last_stage",
    "known_kinds",
    "load_arch",
    "load_space",
    "lower",
    "original_last_stage",
    "place_activation",
    "proxy_arch",
    "read_yaml",
    "reference",
    "references",
    "register_kind",
    "save_arch",
    "shipped_spaces",
    "space_from_dict",
    "space_text",
    "with_squeeze",
    "with_stem",
]
