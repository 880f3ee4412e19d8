"""What Ray reads when it is imported, and must therefore be decided before: `prepare` comes first."""

import os
from pathlib import Path

# Ray's switch for systems whose firewalls ask at each open port; it keeps a node's ports to the loopback interface.
_NOT_BEYOND_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def prepare(address: str | None) -> None:
    """Prepare for a Ray on this machine alone, whose ports nobody else can reach, or for joining the one at an address.

    To a cluster the user's token is shown, unless the user says otherwise.
    """
    shown = {"RAY_AUTH_MODE": "token"} if has_token() else {}
    settings = _NOT_BEYOND_LOOPBACK if address is None else shown
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def has_token() -> bool:
    """Whether this user has a token of a Ray cluster, where Ray looks for it: a head that finds one asks for it."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token").is_file()
