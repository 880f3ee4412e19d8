"""The token of a Ray cluster, where Ray looks for it; decided before ray is imported, which reads this only then."""

import os
from pathlib import Path


def has_token() -> bool:
    """Whether this user has a token: a head that finds one asks for it."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token").is_file()


def show_token(address: str | None) -> None:
    """Have Ray show the token to the cluster that is to be joined, unless the user says otherwise."""
    if address is not None and has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
