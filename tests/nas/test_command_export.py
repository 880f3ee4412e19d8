"""`nas-export`, through the real commands, on handwritten digits and on folders of images."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from nas.checkpoint import load_checkpoint, save_checkpoint
from nas.commands import export, latency, train
from nas.config import SearchConfig
from nas.data import load_data
from nas.finish import finish
from nas.run_folder import RunFolder
from nas.search import Trial
from search_spaces import load_arch, load_space, save_arch, space_text
from tests.nas.deployed import TINY

QUICK = ["--epochs", "2", "--batch-size", "16", "--threads", "1"]
SPACE = Path(__file__).parent.parent / "spaces" / "tiny.yaml"


def run(main: Callable[[], None], *arguments: str | Path) -> int:
    """Run a command in this process: torch is loaded already. Give its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["nas-command", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    code = left.value.code
    assert isinstance(code, int)
    return code


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Give the line of JSON that a command ended with."""
    values: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return values


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of nas-train."""
    folder = tmp_path_factory.mktemp("training")
    save_arch(TINY, folder / "tiny.yaml")
    digits = ["--data", "digits", "--train-images", "300", "--validation-images", "150"]
    assert run(train.main, folder / "tiny.yaml", *digits, *QUICK, "--out", folder / "run") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def shipped(training: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What nas-export made of it."""
    folder = tmp_path_factory.mktemp("shipped")
    assert run(export.main, training, "--onnx", "--int8", "--out", folder) == 0
    return folder


def card_in(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return values


def test_an_export_is_a_folder_with_each_file_an_architecture_and_a_card(shipped: Path) -> None:
    files = {path.name for path in shipped.iterdir()} - {".lock"}
    assert files == {"model.onnx", "model.int8.onnx", "arch.yaml", "card.json", "card.md"}
    card = card_in(shipped)
    assert [file["name"] for file in card["files"]] == ["model.onnx", "model.int8.onnx"]
    assert [file["bytes"] for file in card["files"]] == [
        (shipped / name).stat().st_size for name in ("model.onnx", "model.int8.onnx")
    ]
    assert card["files"][0]["largest_difference"] < 1e-4
    assert [file["compared_images"] for file in card["files"]] == [100, 100]


def test_the_cards_accuracy_and_parameters_are_those_that_nas_train_told(training: Path, shipped: Path) -> None:
    card, summary = card_in(shipped), json.loads((training / "summary.json").read_text(encoding="utf-8"))
    assert card["scores"]["metrics"] == summary["metrics"]
    assert card["params"] == summary["params"]
    assert card["training"]["epoch"] == summary["best_epoch"]
    assert card["training"]["epochs"] == summary["epochs"] == 2
    assert card["training"]["seconds"] == summary["seconds"]
    assert f"| accuracy | {100 * summary['metrics']['accuracy']:.2f} % |" in (shipped / "card.md").read_text()
    assert (card["data"]["train_images"], card["data"]["validation_images"]) == (300, 150)


def test_the_cards_latencies_are_those_that_nas_latency_tells(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {row["device"]: row for row in card_in(shipped)["latencies"] if row["file"] is None}
    assert list(rows) == ["pixel1", "pixel2", "pixel3"]
    text = (shipped / "card.md").read_text()
    for device, row in rows.items():
        assert run(latency.main, shipped / "arch.yaml", "--device", device, "--json") == 0
        values = told(capsys)
        assert row["ms"] == values["latency_ms"]
        assert values["provenance"] in row["provenance"]
        assert f"| {row['ms']:.2f} ms | estimated by a calibrated table of " in text


def test_what_the_command_prints_is_what_the_card_says(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(export.main, training / "last.pt", "--int8", "--device", "pixel1", "--out", tmp_path, "--json") == 0
    out = capsys.readouterr()
    card, printed = card_in(tmp_path), json.loads(out.out)
    assert printed == {"folder": str(tmp_path), **card}
    (file,) = card["files"]
    accuracy, interval = card["scores"]["metrics"]["accuracy"], card["scores"]["interval"]
    assert f"accuracy: {100 * accuracy:.2f} % (95 %: {100 * interval['low']:.2f} to " in out.err
    assert (
        f"model.int8.onnx: {file['bytes'] / 2**20:.2f} MiB, {file['host']['median_ms']:.2f} ms on this host" in out.err
    )
    assert f"accuracy {100 * file['scores']['metrics']['accuracy']:.2f} %, at most" in out.err
    assert f"parameters: {card['params']:,}; multiply-adds: {card['macs']:,}" in out.err
    assert f"estimated by tables: pixel1 {card['latencies'][0]['ms']:.2f} ms" in out.err
    assert card["training"]["epoch"] == 2
    assert not any("chosen" in limit for limit in card["limits"])  # the last epoch is not


def test_tflite_is_made_where_it_can_be(training: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'nas-mobile[tflite]'")
    assert run(export.main, training, "--tflite", "--out", tmp_path) == 0
    (file,) = card_in(tmp_path)["files"]
    assert (file["name"], file["dtype"]) == ("model.tflite", "float32")
    assert file["largest_difference"] < 1e-4
    row = card_in(tmp_path)["latencies"][-1]
    assert (row["file"], row["threads"], row["ms"]) == ("model.tflite", 1, file["host"]["median_ms"])
    assert row["runtime"].startswith("LiteRT ")


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """The folder of a search of one trial, finished as nas-search does."""
    config = SearchConfig(target_ms=1.0, w=-0.15, space=str(SPACE), trials=1)
    config = config.model_copy(update={"final": config.final.__class__(epochs=1, flip=False), "proxy": SMALL_PROXY})
    run_folder = RunFolder.create(tmp_path / "run", config, space_text(SPACE), {})
    space = load_space(SPACE)
    tokens = (0,) * len(space.sizes)
    trial = Trial(0, tokens, space.decode(tokens).key, 1.25, 0.5, 0.45, 36.0, "finished")
    run_folder.append_trial(trial)
    data = load_data("digits", 8, train_images=100, validation_images=100)
    finish(run_folder, trial, space, config, data, lambda done, total: None)
    return run_folder.path


SMALL_PROXY = SearchConfig(target_ms=1.0).proxy.model_copy(
    update={"resolution": 8, "train_images": 100, "validation_images": 100}
)


def test_a_searchs_seed_is_exported_as_trained_and_its_card_says_how_it_was_found(
    searched: Path, tmp_path: Path
) -> None:
    assert run(export.main, searched, "--onnx", "--out", tmp_path / "out") == 0
    card, seed = card_in(tmp_path / "out"), yaml.safe_load((searched / "seed.yaml").read_text())
    assert card["scores"]["metrics"]["accuracy"] == seed["final"]["accuracy"]
    (found,) = card["found"]
    assert (found["command"], found["run"]) == ("nas-search --config config.yaml", "run")
    assert (found["trials"], found["failed"], found["hours"], found["trial"]) == (1, 0, 0.01, 0)
    assert (found["controller"], found["seed"], found["latency_ms"]) == ("reinforce", 0, 1.25)
    assert (found["resolution"], found["classes"]) == (seed["arch"]["resolution"], seed["arch"]["classes"])
    assert any("The search compared architectures on those same images" in limit for limit in card["limits"])


def test_a_trained_seed_names_its_search_and_only_its_own(
    searched: Path, training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--data", "digits", "--resolution", "16", "--train-images", "64", "--validation-images", "40", *QUICK]
    assert run(train.main, searched / "seed.yaml", *quick, "--out", tmp_path / "trained") == 0
    assert run(export.main, tmp_path / "trained", "--onnx", "--found-in", searched) == 0
    (found,) = card_in(tmp_path / "trained" / "export")["found"]
    assert found["hours"] == 0.01
    capsys.readouterr()
    assert run(export.main, training, "--onnx", "--found-in", searched, "--out", tmp_path / "out") == 2
    assert f"the network found in {searched} is not the tiny that was trained; give the folders" in mistake(capsys)
    assert not (tmp_path / "out").exists()


def mistake(capsys: pytest.CaptureFixture[str]) -> str:
    """Give the one line that a mistake brings."""
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    return seen.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "there are no weights at nowhere/best.pt; give a folder of nas-train or nas-search, or a .pt"),
        (["{}", "--device", "pixel9"], "pixel9"),
        (["{}", "--found-in", "nowhere"], "nowhere holds no search and no finished adaptation; give a folder"),
        (["{}", "--out", "{}"], "holds a training or a search, whose files would be lost; give another --out"),
        (["{}", "--out", "{}/arch.yaml"], "arch.yaml is a file; --out takes a folder"),
        (["{}/checkpoint.pt"], "checkpoint.pt is a training's state, not its weights; give best.pt or last.pt"),
        (["{}", "--data", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], words: str, training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(export.main, *[argument.format(training) for argument in arguments]) == 2
    assert words in mistake(capsys)
    assert not (training / "export").exists()


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """A training on class folders: dark and light images."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 0), ("light", 150)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(level, level + 100, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index}.png")
    save_arch(TINY, tmp_path / "tiny.yaml")
    options = ["--data", tmp_path / "images", *QUICK, "--out", tmp_path / "run"]
    assert run(train.main, tmp_path / "tiny.yaml", *options) == 0
    return tmp_path


def test_images_that_moved_are_named_and_the_card_tells_no_path(
    flowers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (flowers / "images").rename(flowers / "moved")
    capsys.readouterr()
    assert run(export.main, flowers / "run", "--onnx") == 2
    assert "images" in mistake(capsys)
    assert run(export.main, flowers / "run", "--onnx", "--data", flowers / "moved") == 0
    assert card_in(flowers / "run" / "export")["data"]["classes"] == ["dark", "light"]
    assert str(flowers) not in (flowers / "run" / "export" / "card.json").read_text()


def test_other_class_folders_than_the_checkpoints_are_refused(
    flowers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (flowers / "images" / "light").rename(flowers / "images" / "white")
    capsys.readouterr()
    assert run(export.main, flowers / "run") == 2
    assert "trained for 2 classes, and the data have 2 (missing: light; new: white); give the" in mistake(capsys)


def test_images_that_changed_are_refused(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(flowers / "images" / "dark" / "1.png", flowers / "images" / "dark" / "0.png")
    capsys.readouterr()
    assert run(export.main, flowers / "run") == 2
    assert "the images changed since " in mistake(capsys)


def test_weights_of_another_network_are_refused(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(training, tmp_path / "run")
    values = load_checkpoint(training / "best.pt")
    values["about"]["arch"]["blocks"][0]["kernel"] = 5
    save_checkpoint(tmp_path / "run" / "best.pt", values)
    assert run(export.main, tmp_path / "run") == 2
    assert "best.pt is of another network than the tiny of its folder (another arch)" in mistake(capsys)
    values = load_checkpoint(training / "best.pt")
    del values["weights"]["classifier.bias"]
    save_checkpoint(tmp_path / "run" / "best.pt", values)
    assert run(export.main, tmp_path / "run") == 2
    assert "best.pt is damaged: its weights do not fit its network; train again" in mistake(capsys)


def test_a_folder_that_another_export_writes_to_is_left_alone(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(tmp_path).locked():
        assert run(export.main, training, "--onnx", "--out", tmp_path) == 2
    assert f"another process is writing to {tmp_path}; wait for it, or give another --out" in mistake(capsys)


def test_the_exported_architecture_is_the_network_in_the_files(shipped: Path) -> None:
    assert load_arch(shipped / "arch.yaml") == TINY
