"""NetAdapt's proposals on real Ray: two workers come to what one process comes to."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from latency import load_table
from nas.classifier_file import save_classifier
from nas.data import load_data
from nas.environment import available_cores
from nas.netadapt.places import Places
from nas.netadapt.start import begin
from nas.recipe import Recipe
from nas.training import train
from search_spaces import Arch, Block, Head, Stem, proxy_arch

ARCH = Arch("tiny", 32, 10, Stem(16), (Block("mbconv", 24, 3, 2, 64), Block("mbconv", 24, 3, 1, 64)), Head(32))


def adapted(folder, checkpoint, workers):
    values = {"arch": ARCH, "device": "pixel1", "data": "digits", "train_images": 200, "steps": 3}
    places = Places(workers)
    run = begin(folder, values, (0.8, 0.04), load_table("pixel1"), checkpoint, places, Console(quiet=True))
    summary = run.complete()
    lines = [json.loads(line) for line in (folder / "proposals.jsonl").read_text().splitlines()]
    return summary, {line["key"]: line["accuracy"] for line in lines}


@pytest.mark.skipif(available_cores() < 2, reason="two workers need two cores")
def test_two_workers_on_ray_find_what_this_process_finds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # folders as people name them; workers on Ray have others to work in
    data, arch, recipe = load_data("digits", 12, train_images=200), proxy_arch(ARCH, 12, 10), Recipe(8, flip=False)
    save_classifier(Path("seed.pt"), arch, data, recipe, train(arch, data, recipe, 0, threads=1))
    alone, expected = adapted(Path("one"), Path("seed.pt"), 1)
    together, accuracies = adapted(Path("two"), Path("seed.pt"), 2)
    assert {key: accuracies[key] for key in expected} == expected  # others are guesses that came to nothing
    assert len(expected) > 5
    assert (together.steps, together.latency_ms, together.accuracy) == (alone.steps, alone.latency_ms, alone.accuracy)
