"""Data sets larger than the memory that a process may have are packed and streamed from disk, for every task."""

import io
import json
import os
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
from nas.detection import open_detection
from nas.segmentation import open_segmentation
from nas.team import Team
from search_spaces import proxy_arch, reference

def status(name):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(name + ":")]
    return 1024 * int(line.split()[1])

task, path, allowed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
limit = status("VmData") + allowed
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
arch = reference("mobilenet_v3_small", 0.35, resolution=128)
if task == "classification":
    data = load_data(path, 128)
    opened = Classification(proxy_arch(arch, 128, len(data.classes)), data)
else:
    opened = open_detection(arch, path) if task == "detection" else open_segmentation(arch, path)
batches = Batches(opened, 8, 1, 0, Team())
seen, used = 0, []
for epoch in range(2):
    for step in batches.epoch(epoch, 0, torch.device("cpu")):
        seen += sum(len(images) for (images, targets), share in step)
    used.append(status("RssAnon"))
try:
    np.array(opened.data.images)
    copied = True
except MemoryError:
    copied = False
print(json.dumps([seen, used[1] - used[0], copied, opened.data.images.nbytes]))
"""
BOX = "<object><name>dot</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object>"


def picture(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PPM")
    return buffer.getvalue()


def members(task: str, index: int) -> dict[str, bytes | str]:
    """A small image, which is large once it is decoded at 128 px, and what a task wants beside it."""
    image = picture(np.full((2, 2, 3), index % 256, np.uint8))
    if task == "classification":
        return {f"{index % 2}/{index}.ppm": image}
    if task == "detection":
        return {
            f"JPEGImages/{index}.ppm": image,
            f"Annotations/{index}.xml": f"<annotation>{BOX}</annotation>",
        }
    return {f"images/{index}.ppm": image, f"masks/{index}.pgm": picture(np.array([[0, 1], [1, 0]], np.uint8))}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, which counts a process's memory")
@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_images_that_do_not_fit_in_memory_are_packed_and_streamed(tmp_path: Path, task: str) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for index in range(COUNT):
            for name, data in members(task, index).items():
                archive.writestr(name, data)
    command = [sys.executable, "-c", STREAM, task, tmp_path / "many.zip", str(ALLOWED)]
    environment = os.environ | {"NAS_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    seen, grown, copied, size = json.loads(done.stdout)
    assert (seen, copied) == (4800, False)  # four fifths to train with, twice; the limit holds
    assert size == COUNT * SIDE * SIDE * 3 > 2 * ALLOWED
    assert grown < ALLOWED / 8
