"""A check that the packages beside `nas` are its own.

Their names are common words. A folder called ``latency`` in the current directory would be imported in place of ours,
and fail later in a way that nobody could place.
"""

from importlib.util import find_spec
from pathlib import Path

SIBLINGS = ("search_spaces", "latency", "controllers")


class ShadowedPackageError(ImportError):
    """A package of this project was found somewhere else than beside `nas`.

    Not an ``InputError``: that lives in one of the packages that may be shadowed.
    """


def check_siblings() -> None:
    """Raise ``ShadowedPackageError`` unless the sibling packages come from the folder that holds `nas`."""
    home = Path(__file__).resolve().parent.parent
    for name in SIBLINGS:
        found = _folder_of(name)
        if found is None:
            raise ShadowedPackageError(f"package {name!r} should lie beside nas in {home}, but is missing; reinstall")
        if found != home / name:
            raise ShadowedPackageError(
                f"package {name!r} should come from {home / name}, but {found} comes first on Python's path; "
                "rename that folder or start Python elsewhere"
            )


def _folder_of(name: str) -> Path | None:
    """Give the folder that ``import name`` would take; of a module in a single file, that file."""
    spec = find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve() if spec.origin else None
