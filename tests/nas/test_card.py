"""`nas.deploy.card`, `found` and `intervals`: what a card says, from figures written out by hand."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

from latency import LatencyTable, Timing, load_table
from nas.deploy.card import Card, Data, card_text, card_to_dict, write_card
from nas.deploy.deployable import Scores
from nas.deploy.files import ModelFile
from nas.deploy.found import Adapted, Searched, found_in
from nas.deploy.intervals import Interval, bootstrap, wilson
from nas.deploy.latencies import Latency, estimated, measured
from nas.deploy.limits import limits_of
from nas.deploy.trained import Training
from nas.environment import describe_environment
from nas.netadapt.config import FINE_TUNING, AdaptConfig, command_of
from nas.netadapt.folder import AdaptFolder
from nas.recorded import write_config
from nas.segmentation.metrics import metrics
from search_spaces import Arch, FileError, InputError, arch_to_dict, load_arch, lower, reference, save_arch
from tests.nas.deployed import TINY

INTERVAL = Interval(0.875, 0.9375, "Wilson, 400 images")
SEARCH = Searched(
    *("nas-search --config config.yaml", "run", "tiny", "random", "flowers", 3, 40, 2, 1.5),
    *("pixel1", 224, 1000, 15.0, 7, 0.8, 14.5, 0.81),
)
FLOAT = ModelFile(
    "model.onnx", 3 * 2**20, "float32", "ONNX Runtime 1.0", 100, 2e-6, None, Timing(1.5, 1.4, 1.75, 100), 2**23
)
INT8 = replace(
    FLOAT,
    name="model.int8.onnx",
    bytes=2**20,
    dtype="int8",
    scores=Scores({"accuracy": 0.9}, INTERVAL),
    peak_memory_bytes=None,
)


def card(**changes: object) -> Card:
    data = Data("flowers", ("rose", "a|b <i>"), (96, 96), 1600, 400)
    card = Card(
        name="tiny on flowers",
        task="classification",
        made=date(2026, 11, 21),
        network="stem 8 · head 32",
        data=data,
        scores=Scores({"accuracy": 0.90625}, INTERVAL),
        params=1234567,
        macs=7654321,
        files=[FLOAT, INT8],
        latencies=[
            Latency("pixel1", "TFLite", "float32", 1, 2.345, "estimated by a calibrated table"),
            measured(FLOAT),
        ],
        training=Training(4, 5, 90.0, {"data": "flowers", "schedule": {"epochs": 5}}),
        found=[],
        limits=("a limit",),
        environment=describe_environment(),
    )
    return replace(card, **changes)


def test_the_text_begins_with_what_model_hubs_read() -> None:
    _, header, body = card_text(card()).split("---\n", 2)
    told = yaml.safe_load(header)
    assert told["pipeline_tag"] == "image-classification"
    assert told["tags"] == ["neural-architecture-search", "onnx"]
    (model,) = told["model-index"]
    assert model["name"] == "tiny on flowers"
    assert model["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.90625}]
    assert body.startswith("\n# tiny on flowers\n")


@pytest.mark.parametrize(
    "line",
    [
        "| accuracy | 90.62 % | 87.50 % to 93.75 % (Wilson, 400 images) |",
        "| input | `images`: RGB floats in [0, 1], 96 x 96 pixels; ONNX (batch, 3, height, width) |",
        "| parameters | 1,234,567 |",
        "| multiply-adds | 7,654,321 for one image |",
        "| `model.onnx` | float32 | 3.00 MiB | 8.00 MiB | 2e-06 | as torch |",
        "| `model.int8.onnx` | int8 | 1.00 MiB | not measured | 2e-06 | 90.00 % (87.50 % to 93.75 %) |",
        "| pixel1 | TFLite | float32 | 1 | 2.35 ms | estimated by a calibrated table |",
        "The weights are those after epoch 4 of 5, averaged; 1.5 minutes of training.",
        "| schedule.epochs | 5 |",
        "- a limit",
        "Not by a search, or by one that was not named (`--found-in`): the architecture was given.",
    ],
)
def test_the_text_tells_each_figure(line: str) -> None:
    assert line in card_text(card()).splitlines()


def test_names_of_classes_cannot_break_a_table_or_make_html() -> None:
    assert "| classes, in the order of the outputs | rose, a\\|b \\<i\\> |" in card_text(card())


def test_a_search_and_an_adaptation_are_told_one_after_the_other() -> None:
    counts, size = ("flowers", 0, 90, 1, 0.25), ("pixel1", 224, 1000)
    adapted = Adapted("nas-adapt run --delta 0.01", "narrow", *counts, *size, 10.0, 9, 0.875, 14.5, 0.8625, 9.75)
    text = card_text(card(found=[SEARCH, adapted]))
    assert "| command | `nas-search --config config.yaml`; run in the folder `run` |" in text
    assert "| command | `nas-adapt run --delta 0.01`; it made the folder `narrow` |" in text
    assert "| target | 10 ms on pixel1, for 224 x 224 pixels and 1000 classes, as are its latencies below |" in text
    assert "| trials | 40, of which 2 failed; 1.50 hours of training, one after another |" in text
    assert "| winner | trial 7: 80.00 % after a short training, 14.50 ms by the table, reward 0.8100 |" in text
    assert "| steps | 9: 14.50 to 9.75 ms by the table, 87.50 % to 86.25 % on held-out training images |" in text
    assert text.index("nas-search") < text.index("nas-adapt")
    assert "the architecture was given" not in text


def test_both_forms_are_written_and_the_json_holds_all(tmp_path: Path) -> None:
    made = card(found=[SEARCH])
    write_card(made, tmp_path)
    told = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(card_to_dict(made)))
    assert (told["made"], told["scores"]["interval"]["low"], told["found"][0]["hours"]) == ("2026-11-21", 0.875, 1.5)
    assert told["files"][0]["host"] == {"median_ms": 1.5, "p10_ms": 1.4, "p90_ms": 1.75, "runs": 100}
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == card_text(made)


def test_limits_follow_from_how_the_network_was_made() -> None:
    data = card().data
    plain = list(limits_of("classification", data, [FLOAT], [], chosen_by_validation=False))
    assert not [limit for limit in plain if "int8" in limit or "chosen" in limit]
    assert "judged on 400 images" in plain[1]
    more = list(limits_of("detection", data, [FLOAT, INT8], [], chosen_by_validation=True))
    assert len([limit for limit in more if "int8" in limit or "chosen" in limit]) == 2
    assert [limit for limit in more if "choosing among boxes" in limit] == more[-1:]
    assert "choosing" not in "".join(plain)
    searched = list(limits_of("classification", data, [FLOAT], [SEARCH], chosen_by_validation=False))
    assert [limit for limit in searched if limit not in plain] == [searched[2]]
    assert searched[2].startswith("The search compared architectures on those same images, or some of them")
    elsewhere = replace(SEARCH, data="digits")
    assert list(limits_of("classification", data, [FLOAT], [elsewhere], chosen_by_validation=False)) == plain


def test_a_table_estimates_and_says_what_it_had_to_price() -> None:
    table, arch = load_table("pixel1"), reference("mobilenet_v3_small")
    known = estimated(lower(arch), table)
    assert known.ms == table.estimate_ms(arch)
    assert known.provenance.startswith("estimated by a calibrated table of 2026-11-21; mean error ")
    priced = estimated(lower(TINY), table)
    slower = LatencyTable(table.header.model_copy(update={"overhead_ms": 2.0}), table.timings)
    assert estimated(lower(arch), slower).ms == slower.estimate_ms(arch) > known.ms + 1.9
    # stem, two blocks, last convolution, pool, hidden layer, classifier
    assert ", 7 of 7 Ops priced by its costs; mean error " in priced.provenance


def test_a_files_time_is_told_with_its_spread() -> None:
    row = measured(FLOAT)
    assert (row.ms, row.file, row.threads) == (1.5, "model.onnx", 1)
    assert row.provenance == "measured, median of 100 runs (p10 1.40, p90 1.75)"


def test_wilsons_interval_of_8_of_10_and_of_all() -> None:
    # (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964, by hand
    found = wilson(0.8, 10)
    assert (found.low, found.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert found.method == "Wilson, 10 images"
    assert (wilson(1.0, 10).low, wilson(1.0, 10).high) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))


def test_the_bootstrap_draws_whole_images() -> None:
    right, wrong = np.array([[4, 0], [0, 4]]), np.array([[0, 4], [4, 0]])

    def miou(matrix: np.ndarray) -> float:
        return metrics(matrix, ["a", "b"])["mIOU"]

    alike = bootstrap(np.stack([right] * 5), miou)
    assert (alike.low, alike.high) == (1.0, 1.0)
    mixed = bootstrap(np.stack([right, wrong] * 20), miou)  # of 40 images half are right: 1/3, give or take
    assert 0.15 < mixed.low < 1 / 3 < mixed.high < 0.6
    assert mixed == bootstrap(np.stack([right, wrong] * 20), miou)
    assert mixed.method == "bootstrap, 1000 times 40 images"


NARROW = replace(TINY, name="narrow", blocks=(replace(TINY.blocks[0], expanded=16), TINY.blocks[1]))


def adaptation(folder: Path, begun_with: Arch, made: Arch) -> Path:
    """Write the files of nas-adapt that a card is made from."""
    folder.mkdir()
    told = {"device": "pixel1", "steps": 2, "target_ms": 9.0, "latency_ms": 8.5, "accuracy": 0.75}
    told |= {"seed_latency_ms": 12.0, "seed_accuracy": 0.8, "arch": arch_to_dict(made)}
    (folder / "adapted.yaml").write_text(yaml.safe_dump(told))
    write_config(folder, AdaptConfig(begun_with, "pixel1", "/home/me/flowers.zip", 9.0, 0.12, steps=20, seed=5))
    lines = [{"accuracy": 0.7, "seconds": 1800}, {"accuracy": None, "seconds": 900}, {"accuracy": 0.75, "seconds": 900}]
    (folder / "proposals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_an_adaptation_is_read_from_its_folder(tmp_path: Path) -> None:
    folder = adaptation(tmp_path / "narrow", TINY, NARROW)
    deployed = replace(NARROW, resolution=224, classes=5)  # trained at another size, for other classes
    command = "nas-adapt SEED --target-ms 9 --delta 0.01 --device pixel1 --data flowers.zip --steps 20 --seed 5"
    (found,) = found_in([folder], deployed)
    counts, size = ("flowers", 5, 3, 1, 1.0), ("pixel1", 8, 10)
    assert found == Adapted(command, "narrow", *counts, *size, 9.0, 2, 0.8, 12.0, 0.75, 8.5)


def test_the_command_of_an_adaptation_has_all_that_is_not_usual() -> None:
    usual = AdaptConfig(TINY, "/tables/phone.lut", "digits", 2.5, 0.2)
    assert (
        command_of(usual, "run", 10.0) == "nas-adapt run --target-ms 2.5 --delta 0.02 --device phone.lut --data digits"
    )
    tuning = replace(FINE_TUNING, batch_size=64, learning_rate=0.1)
    changed = replace(usual, select="accuracy", keep="first-n", held_out=0.3, train_images=500, recipe=tuning)
    assert command_of(replace(changed, skip_bad_images=True), "run", 10.0).endswith(
        " --select accuracy --keep first-n --held-out 0.3 --train-images 500 --batch-size 64 --learning-rate 0.1 "
        "--skip-bad-images"
    )


def test_what_was_found_must_lead_to_the_network_that_was_trained(tmp_path: Path) -> None:
    folder = adaptation(tmp_path / "narrow", TINY, NARROW)
    with pytest.raises(InputError, match="narrow is not the tiny that was trained; give the folders of nas-search"):
        found_in([folder], TINY)
    again = adaptation(tmp_path / "again", NARROW, NARROW)
    _, second = found_in([folder, again], NARROW)
    assert second.command.startswith("nas-adapt narrow --target-ms 9")
    with pytest.raises(InputError, match=r"again is not what .*narrow began with; give the folders"):
        found_in([again, folder], NARROW)


def test_a_damaged_adaptation_is_named(tmp_path: Path) -> None:
    folder = adaptation(tmp_path / "narrow", TINY, NARROW)
    save_arch(load_arch(folder / "adapted.yaml"), folder / "adapted.yaml")  # an architecture alone
    with pytest.raises(FileError, match=r"narrow is damaged \('seed_latency_ms'\); restore it from a copy"):
        found_in([folder], NARROW)


@pytest.mark.parametrize("line", ["[" * 100_000, "{", '{"key": 1}'])
def test_a_damaged_line_of_an_adaptation_is_named(line: str, tmp_path: Path) -> None:
    folder = adaptation(tmp_path / "narrow", TINY, NARROW)
    with (folder / "proposals.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(FileError, match=r"narrow is damaged \(.*; restore it from a copy"):
        found_in([folder], NARROW)
    with pytest.raises(FileError, match=r"proposals.jsonl line \d+ is not of this run: restore the file from a copy"):
        AdaptFolder(folder).read_judged()


def test_nothing_was_found_where_no_folder_is_given() -> None:
    assert found_in([], TINY) == []
