"""A phone behind Debian's real adb client, played by a daemon on loopback that runs models by LiteRT."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from latency.adb import Adb
from latency.adb_source import AdbSource
from latency.benchmark_tool import ToolOptions
from latency.device import Device, load_device
from latency.onnx_model import random_layers
from latency.phone import Limits
from latency.source import Chain, LatencySource, SourceError, SourceFacts
from latency.tflite_model import tflite_model
from search_spaces import Op
from tests.latency.adb_daemon import Phone

pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert: pip install 'nas-mobile[tflite]'")
pytestmark = pytest.mark.skipif(shutil.which("adb") is None, reason="needs the adb client: apt-get install adb")

CONV, LINEAR = Op("conv", 32, 32, 3, 16, 3, 2, activation="relu"), Op("linear", 1, 1, 8, 4)
CHAINS: list[Chain] = [(CONV,), (LINEAR,), (CONV, Op("pool", 16, 16, 16, 16), Op("linear", 1, 1, 16, 4))]
QUICK = ToolOptions(warmup_seconds=0.0, min_seconds=0.0, max_seconds=10.0)
LIMITS = Limits(cool_seconds=30.0, poll_seconds=10.0, reconnect_seconds=20.0)


@dataclass
class Desk:
    """A computer with an adb server of its own, and phones on its cables."""

    environment: dict[str, str]
    folder: Path
    phones: list[Phone] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    watches: list[threading.Thread] = field(default_factory=list)

    def adb(self, *arguments: str, check: bool = True) -> None:
        subprocess.run(["adb", *arguments], env=self.environment, check=check, capture_output=True, timeout=30)

    def attach(self, model: str = "Pixel", features: str = "", trusts: bool = True) -> Phone:
        phone = Phone(self.folder / f"phone{len(self.phones)}", model, features, trusts)
        self.phones.append(phone)
        self.adb("connect", phone.serial)
        return phone

    def plug_back(self, phone: Phone, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Plug a phone in again whenever its cable is pulled; ``meanwhile`` happens to it before that."""

        def watch() -> None:
            while phone.unplugged.wait() and not self.closed.is_set():
                phone.unplugged.clear()
                time.sleep(0.6)  # adb's first try to reach it again is over
                meanwhile()
                phone.plug()
                self.adb("disconnect", phone.serial, check=False)  # it may have forgotten it already
                self.adb("connect", phone.serial)

        self.watches.append(threading.Thread(target=watch, daemon=True))
        self.watches[-1].start()

    def close(self) -> None:
        self.closed.set()
        for phone in self.phones:
            phone.unplug()
        for watch in self.watches:
            watch.join()
        self.adb("disconnect")

    def tool(self, text: str | None = None) -> Path:
        """A benchmark tool for this host's processor; ``text`` is that of a shell script in its place."""
        path = self.folder / "benchmark_model"
        real = Path(__file__).with_name("litert_benchmark_model.py").read_text()
        path.write_text(f"#!{sys.executable}\n{real}" if text is None else f"#!/bin/sh\n{text}\n")
        return path

    def source(
        self,
        *,
        serial: str | None = None,
        tool: Path | None = None,
        profile: Device | None = None,
        limits: Limits = LIMITS,
        sleep: Callable[[float], None] = lambda seconds: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> AdbSource:
        return AdbSource(
            profile or load_device("pixel1"),
            tool or self.tool(),
            serial,
            lambda chain: tflite_model(chain, random_layers()),
            options=QUICK,
            limits=limits,
            adb=Adb(environment=self.environment),
            sleep=sleep,
            say=say,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an adb server that no phone or server of the user's meets."""
    home = tmp_path_factory.mktemp("adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(home), "ANDROID_ADB_SERVER_PORT": str(port)}
    subprocess.run(["adb", "start-server"], env=environment, check=True, capture_output=True)
    yield environment
    subprocess.run(["adb", "kill-server"], env=environment, check=True, capture_output=True)


@pytest.fixture
def desk(server: dict[str, str], tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(server, tmp_path)
    yield desk
    desk.close()


def times(source: LatencySource, chains: list[Chain] = CHAINS) -> list[float]:
    """Both times of each chain, of a session."""
    with source.session(chains) as session:
        return [ms for index in range(len(chains)) for ms in session.sample(index, 3)]


def runs(phone: Phone) -> list[str]:
    """The names of the models that the tool was told to time."""
    return [
        command.partition("--graph=")[2].split()[0].rpartition("/")[2] for command in phone.commands if "=" in command
    ]


@pytest.mark.parametrize("features", ["", "shell_v2,cmd"])
def test_chains_get_times_on_an_old_phone_and_a_newer_one_and_nothing_stays_there(desk: Desk, features: str) -> None:
    phone = desk.attach(features=features)
    measured = times(desk.source())
    assert len(measured) == 6
    assert min(measured) > 0
    assert runs(phone) == ["0.tflite", "1.tflite", "2.tflite"]
    assert list(phone.tmp.iterdir()) == []


def test_the_tool_runs_on_the_big_cores_of_the_profile(desk: Desk) -> None:
    phone = desk.attach()
    times(desk.source(), CHAINS[:2])
    assert (phone.root / "masks").read_text().split() == ["c", "c"]  # 0xC


def test_more_work_takes_longer(desk: Desk) -> None:
    desk.attach()
    large = (Op("conv", 112, 112, 32, 64, 3, 1, activation="relu"),)  # 231 M multiplications; the small one has 0.1 M
    with desk.source().session([(CONV,), large]) as session:
        assert session.sample(0, 5).warm_ms < session.sample(1, 5).warm_ms


def test_the_header_gets_the_profile_the_tool_and_the_governor(desk: Desk) -> None:
    desk.attach()
    tool = desk.tool("echo")
    assert tool.read_bytes() == b"#!/bin/sh\necho\n"
    assert desk.source(tool=tool).facts == SourceFacts(
        device="pixel1",
        runtime="TensorFlow Lite benchmark tool",
        runtime_version="sha256 c4e7139bd31c, built-in kernels",
        threads=1,
        dtype="float32",
        clock_policy="CPU mask 0xC, governor interactive",
    )


def test_two_sessions_in_a_row_share_nothing(desk: Desk) -> None:
    phone, source = desk.attach(), desk.source()
    first, second = times(source, CHAINS[:1]), times(source, CHAINS[1:])
    assert (len(first), len(second)) == (2, 4)
    assert min(first + second) > 0
    assert list(phone.tmp.iterdir()) == []


def test_an_error_of_the_caller_leaves_nothing_on_the_phone(desk: Desk) -> None:
    phone = desk.attach()

    def fail() -> None:
        with desk.source().session(CHAINS):
            raise KeyError(*[folder.is_dir() for folder in phone.tmp.iterdir()])

    with pytest.raises(KeyError, match="True"):
        fail()
    assert list(phone.tmp.iterdir()) == []


def test_without_a_phone_the_user_is_told_to_plug_one_in(desk: Desk) -> None:
    with pytest.raises(SourceError, match="no phone is attached; plug one in"):
        desk.source()


def test_a_phone_that_does_not_trust_this_computer_is_to_be_unlocked(desk: Desk) -> None:
    desk.attach(trusts=False)
    with pytest.raises(SourceError, match="'unauthorized'; unlock it and allow USB debugging"):
        desk.source()


def test_a_phone_that_went_offline_is_to_be_plugged_in_again(desk: Desk) -> None:
    desk.attach().unplug()
    with pytest.raises(SourceError, match="'offline'; unplug it and plug it in again"):
        desk.source()


def test_of_two_phones_one_is_chosen_by_its_serial(desk: Desk) -> None:
    first, second = desk.attach(), desk.attach()
    with pytest.raises(SourceError, match="2 phones are attached; give the serial of one: "):
        desk.source()
    times(desk.source(serial=second.serial), CHAINS[:1])
    assert (runs(first), runs(second)) == ([], ["0.tflite"])


def test_a_phone_of_another_model_is_refused(desk: Desk) -> None:
    desk.attach(model="Nexus 5")
    with pytest.raises(
        SourceError, match=r"is a 'Nexus 5' \(sailfish\), but device 'pixel1' .* of models Pixel, Pixel XL;"
    ):
        desk.source()


def test_a_profile_without_models_takes_any_phone(desk: Desk) -> None:
    desk.attach(model="Nexus 5")
    profile = load_device("pixel1").model_copy(update={"name": "mine", "models": ()})
    assert desk.source(profile=profile).facts.device == "mine"


def test_a_missing_tool_is_named(desk: Desk) -> None:
    desk.attach()
    with pytest.raises(SourceError, match=r"cannot read .*/none: No such file or directory; give TensorFlow Lite's"):
        desk.source(tool=desk.folder / "none")


def test_a_sample_goes_on_when_its_cable_is_back(desk: Desk) -> None:
    phone = desk.attach()
    desk.plug_back(phone)
    with desk.source().session(CHAINS[:2]) as session:
        phone.cut_at.append("1.tflite")
        assert session.sample(1, 3).warm_ms > 0
        assert session.sample(0, 3).warm_ms > 0
    assert runs(phone) == ["1.tflite", "1.tflite", "0.tflite"]
    assert sorted(phone.pushed) == ["0.tflite", "1.tflite", "benchmark_model"]  # all was still there
    assert list(phone.tmp.iterdir()) == []


def test_what_a_phone_lost_is_pushed_again(desk: Desk) -> None:
    phone = desk.attach()
    desk.plug_back(phone, lambda: [file.unlink() for file in phone.tmp.rglob("1.tflite")].clear())
    with desk.source().session(CHAINS[:2]) as session:
        phone.cut_at.append("1.tflite")
        assert session.sample(1, 3).warm_ms > 0
    assert sorted(phone.pushed) == ["0.tflite", "1.tflite", "1.tflite", "benchmark_model"]


def test_a_push_that_was_cut_is_done_again(desk: Desk) -> None:
    phone = desk.attach()
    desk.plug_back(phone)
    phone.cut_at.append("1.tflite")
    assert min(times(desk.source())) > 0
    assert phone.pushed.count("1.tflite") == 2
    assert list(phone.tmp.iterdir()) == []


def test_a_phone_that_does_not_come_back_ends_the_session(desk: Desk) -> None:
    phone = desk.attach()
    with desk.source(limits=replace(LIMITS, reconnect_seconds=0.5)).session(CHAINS[:1]) as session:
        phone.cut_at.append("0.tflite")
        with pytest.raises(
            SourceError, match=r"gone for 0.5 s; nothing measured so far is lost; plug the phone in and run"
        ):
            session.sample(0, 3)


def test_a_cable_that_fails_again_and_again_ends_the_session(desk: Desk) -> None:
    phone = desk.attach()
    desk.plug_back(phone)
    with desk.source().session(CHAINS[:1]) as session:
        phone.cut_at += ["0.tflite"] * 3
        with pytest.raises(
            SourceError, match=f"^{CONV.key}: .* cut its answer 3 times in a row; .*'INFO: STARTING!"
        ) as told:
            session.sample(0, 3)
    assert "\n" not in str(told.value)


def test_garbage_names_the_op_and_its_first_200_characters(desk: Desk) -> None:
    phone = desk.attach()
    with desk.source(tool=desk.tool("printf 'meow%.0s' $(seq 100)")).session(CHAINS) as session:
        with pytest.raises(SourceError, match=f"^{LINEAR.key}: .* no line of inference .* it said '{'meow' * 50}'$"):
            session.sample(1, 3)
        with pytest.raises(SourceError, match=f"^{CONV.key} and 2 more Ops: "):
            session.sample(2, 3)
    assert list(phone.tmp.iterdir()) == []


def test_output_that_ends_too_early_is_refused(desk: Desk) -> None:
    desk.attach()
    tool = desk.tool("echo 'count=50 first=2110 curr=2090 min=2080 max=2300 avg=2100.5 std=30'; kill -9 $$")
    with (
        desk.source(tool=tool).session(CHAINS) as session,
        pytest.raises(
            SourceError, match=r"gave exit code 137; nothing measured so far is lost; .* it said 'count=50 first"
        ),
    ):
        session.sample(0, 3)


def test_a_full_phone_is_told_how_much_to_free(desk: Desk) -> None:
    phone = desk.attach()
    phone.capacity = 100_000
    tool = desk.tool("#" * 1_250_000)  # the three models have less than 10 kB
    with (
        pytest.raises(SourceError, match=r"/data/local/tmp must have 1\.3 MB free; .* free that much"),
        desk.source(tool=tool).session(CHAINS),
    ):
        pass
    assert list(phone.tmp.iterdir()) == []


def test_a_hot_phone_is_waited_for(desk: Desk) -> None:
    phone = desk.attach()
    phone.set("decidegrees", "431\n415\n400")
    slept: list[float] = []
    said: list[str] = []
    assert min(times(desk.source(sleep=slept.append, say=said.append), CHAINS[:1])) > 0
    assert slept == [10.0, 10.0]
    assert said == [f"phone {phone.serial} has 43.1 C; waiting until it has 40 C or less"]


def test_a_phone_that_stays_hot_ends_the_session(desk: Desk) -> None:
    phone = desk.attach()
    phone.set("decidegrees", "431")
    slept: list[float] = []
    with (
        pytest.raises(
            SourceError, match=r"still has 43\.1 C after 30 s, too hot to be timed; nothing measured so far is lost"
        ),
        desk.source(sleep=slept.append).session(CHAINS),
    ):
        pass
    assert slept == [10.0] * 3
    assert phone.pushed == []


@pytest.mark.parametrize(("level", "status", "fits"), [("19", "3", False), ("19", "2", True), ("20", "3", True)])
def test_a_phone_that_runs_empty_is_refused(desk: Desk, level: str, status: str, fits: bool) -> None:
    phone = desk.attach()
    phone.set("level", level)
    phone.set("status", status)
    problem = ""
    try:
        with desk.source().session(CHAINS[:1]):
            pass
    except SourceError as error:
        problem = str(error)
    expected = f"phone {phone.serial} has 19% of its battery left and does not charge; at least 20% are needed: "
    assert problem == ("" if fits else expected + "charge it and run the same command again")


def test_a_governor_that_changed_ends_the_measuring(desk: Desk) -> None:
    phone, source = desk.attach(), desk.source()
    phone.set("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave")
    with pytest.raises(SourceError, match="was 'interactive' and is now 'powersave'"), source.session(CHAINS):
        pass


def test_a_phone_that_hides_its_governor_is_timed_all_the_same(desk: Desk) -> None:
    phone = desk.attach()
    (phone.root / "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor").unlink()
    assert desk.source().facts.clock_policy == "CPU mask 0xC, governor unreadable"
