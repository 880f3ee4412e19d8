"""Architectures and search spaces as data: no tensor library, no cluster."""

from search_spaces.arch import Arch, ArchError, Block, Head, SqueezeExcite, Stem
from search_spaces.arch_files import arch_from_dict, arch_to_dict, load_arch, save_arch
from search_spaces.checked import FileError, check, read_yaml
from search_spaces.count import Count, count, count_op
from search_spaces.errors import InputError
from search_spaces.kinds import BlockKind, KindError, known_kinds, register_kind
from search_spaces.op import Conv, Op, lower
from search_spaces.proxy import proxy_arch
from search_spaces.reference import reference, references
from search_spaces.space import Decision, SearchSpace
from search_spaces.space_files import load_space, shipped_spaces, space_from_dict, space_text

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
    "count",
    "count_op",
    "known_kinds",
    "load_arch",
    "load_space",
    "lower",
    "proxy_arch",
    "read_yaml",
    "reference",
    "references",
    "register_kind",
    "save_arch",
    "shipped_spaces",
    "space_from_dict",
    "space_text",
]
