"""Settings for all tests."""

import signal
import tempfile

import pytest
import torch
from hypothesis import settings

from nas.ray_setup import prepare

prepare(None)  # before anything imports ray
torch.set_num_threads(1)  # the networks of tests are small: threads would only wait for each other

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts jobs in the background; commands inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache():
    """Pack images into a folder of this run: what lies in the user's cache is not tested, and nothing is left there."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", folder)
        yield
