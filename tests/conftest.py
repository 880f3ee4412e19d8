"""Settings for all tests."""

import torch

torch.set_num_threads(1)  # the networks of tests are small: threads would only wait for each other
