"""A data set larger than the memory that a process may have is packed and streamed from disk."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COUNT, SIDE, ALLOWED = 3000, 128, 64_000_000  # the images take 147 MB
STREAM = """
import json, resource, sys
from pathlib import Path
import numpy as np
import torch
from nas.batches import Batches
from nas.classification import Classification
from nas.data import load_data
from nas.team import Team
from search_spaces import Arch, Block, Head, Stem

def status(name):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(name + ":")]
    return 1024 * int(line.split()[1])

path, cache, allowed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
limit = status("VmData") + allowed
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
data = load_data(path, 128, cache_dir=cache)
arch = Arch("tiny", 128, 2, Stem(8), (Block("conv", 8, 3, 2),), Head(8))
batches = Batches(Classification(arch, data), 8, 1, 0, Team())
seen, used = 0, []
for epoch in range(2):
    for step in batches.epoch(epoch, 0, torch.device("cpu")):
        seen += sum(len(labels) for (images, labels), share in step)
    used.append(status("RssAnon"))
grown = used[1] - used[0]
try:
    np.array(data.images)
    copied = True
except MemoryError:
    copied = False
print(json.dumps([seen, grown, copied, data.images.nbytes]))
"""


def make_zip(path: Path) -> Path:
    """A zip of many small images, which are large once they are decoded at 128 px."""
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(COUNT):
            buffer = io.BytesIO()
            Image.fromarray(np.full((2, 2, 3), index % 256, np.uint8)).save(buffer, "PPM")
            archive.writestr(f"{index % 2}/{index}.ppm", buffer.getvalue())
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, which counts a process's memory")
def test_images_that_do_not_fit_in_memory_are_packed_and_streamed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STREAM, make_zip(tmp_path / "many.zip"), tmp_path / "cache", str(ALLOWED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen, grown, copied, size = json.loads(done.stdout)
    assert (seen, copied) == (4800, False)  # four fifths to train with, twice; the limit holds
    assert size == COUNT * SIDE * SIDE * 3 > 2 * ALLOWED
    assert grown < ALLOWED / 8
