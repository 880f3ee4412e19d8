"""Settings for all tests."""

import signal

import torch
from hypothesis import settings

torch.set_num_threads(1)  # the networks of tests are small: threads would only wait for each other

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts jobs in the background; commands inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
