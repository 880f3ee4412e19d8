"""What adb, a phone and the benchmark tool print, read from literal text."""

from pathlib import Path

import pytest

from latency.adb import Adb, Answer, Attached, choose, parse_answer, parse_devices
from latency.benchmark_tool import ToolOptions, command, parse_sample
from latency.phone import Battery, first_core, parse_battery
from latency.phone_session import parse_sizes
from latency.source import SourceError

DEVICES = """* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
FA6A10312345           device usb:1-2 product:sailfish model:Pixel device:sailfish transport_id:1
0123456789ABCDEF       unauthorized usb:1-4 transport_id:2
????????????           no permissions (user in plugdev group; are your udev rules wrong?); see [https://example.com]
192.168.0.7:5555       offline transport_id:4

"""
ATTACHED = [
    Attached("FA6A10312345", "device"),
    Attached("0123456789ABCDEF", "unauthorized"),
    Attached("????????????", "no permissions"),
    Attached("192.168.0.7:5555", "offline"),
]

OLD_TOOL = """Running benchmark for at least 1 iterations and at least 0.5 seconds
count=245 first=2901 curr=2010 min=1985 max=2901 avg=2035.5 std=70

Running benchmark for at least 50 iterations and at least 1 seconds
count=50 first=2110 curr=2090 min=2080 max=2300 avg=2100.5 std=30

Inference timings in us: Init: 1234, First inference: 2901, Warmup (avg): 2035.5, Inference (avg): 2100.5
"""
NEW_TOOL = """INFO: STARTING!
INFO: count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602

INFO: count=50 first=1249964 curr=1240143 min=1238588 max=1252566 avg=1.24027e+06 std=2565 p5=1238753 median=1239807 p95=1247415

INFO: Inference timings in us: Init: 5579, First inference: 1357602, Warmup (avg): 1.3576e+06, Inference (avg): 1.24027e+06
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE
"""  # noqa: E501
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 84
  scale: 100
  voltage: 4063
  temperature: 326
  technology: Li-ion
"""


def test_every_phone_is_listed_with_its_state() -> None:
    assert parse_devices(DEVICES) == ATTACHED


def test_an_empty_list_has_no_phones() -> None:
    assert parse_devices("List of devices attached\n\n") == []


@pytest.mark.parametrize(
    ("serial", "message"),
    [
        ("0123456789ABCDEF", "'unauthorized'; unlock it and allow USB debugging for this computer"),
        ("????????????", "'no permissions'; let your user open USB devices"),
        ("192.168.0.7:5555", "'offline'; unplug it and plug it in again"),
        ("FA6A", r"no phone 'FA6A' is attached; .*: FA6A10312345 \(device\), 0123456789ABCDEF \(unauthorized\)"),
        (None, r"4 phones are attached; give the serial of one: FA6A10312345 \(device\), "),
    ],
)
def test_a_phone_that_cannot_be_used_is_refused_with_what_to_do(serial: str | None, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        choose(ATTACHED, serial)


def test_a_phone_in_its_recovery_is_to_be_started() -> None:
    with pytest.raises(SourceError, match="'recovery'; start Android on it"):
        choose([Attached("FA6A", "recovery")], None)


def test_the_named_phone_is_chosen_among_several() -> None:
    assert choose(ATTACHED, "FA6A10312345") == "FA6A10312345"


def test_without_a_phone_the_user_is_told_to_plug_one_in() -> None:
    with pytest.raises(SourceError, match="no phone is attached; plug one in, turn on its USB debugging"):
        choose([], None)


def test_without_a_client_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No such file or directory; install .*apt-get install adb"):
        Adb(program=str(tmp_path / "adb")).devices()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Pixel\nnas-exit:0\n", Answer("Pixel\n", 0)),
        ("Pixel\r\nnas-exit:0\r\n", Answer("Pixel\n", 0)),  # a terminal's lines
        ("no such file\nnas-exit:127\n", Answer("no such file\n", 127)),
        ("nas-exit:1\nPixelnas-exit:0\n", Answer("nas-exit:1\nPixel", 0)),
        ("Pixel\nnas-exit:12", None),  # of 127, perhaps
        ("Pixel\nnas-ex", None),
        ("", None),
    ],
)
def test_an_answer_is_whole_only_with_its_exit_code(text: str, answer: Answer | None) -> None:
    assert parse_answer(text) == answer


def test_an_old_tool_gives_the_mean_of_its_runs() -> None:
    assert parse_sample(OLD_TOOL) == (2.901, 2.1005)


def test_a_new_tool_gives_the_median_of_its_runs_not_of_its_warm_up() -> None:
    assert parse_sample(NEW_TOOL) == (1357.602, 1239.807)


def test_a_median_below_a_microsecond_leaves_the_mean() -> None:
    text = NEW_TOOL.replace("median=1239807", "median=0").replace("(avg): 1.24027e+06", "(avg): 0.625")
    assert parse_sample(text) == (1357.602, 0.000625)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Segmentation fault\n",
        OLD_TOOL[: OLD_TOOL.index("Inference timings")],  # the line of counts alone: cut
        NEW_TOOL.replace("Inference (avg): 1.24027e+06", "Inference (avg): nan"),
        OLD_TOOL.replace("Inference (avg): 2100.5", "Inference (avg): 0"),
        OLD_TOOL.replace("Inference (avg): 2100.5", "Inference (av"),
    ],
)
def test_what_is_no_whole_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no line of inference timings|a time of 0"):
        parse_sample(text)


def test_the_tool_runs_on_one_thread_of_the_masked_cores() -> None:
    options = ToolOptions(use_xnnpack=True, warmup_seconds=0.2, min_seconds=0.05, max_seconds=60.0)
    assert command("c", "/data/local/tmp/n/benchmark_model", "/data/local/tmp/n/0.tflite", 1, 4, options) == (
        "taskset c /data/local/tmp/n/benchmark_model --graph=/data/local/tmp/n/0.tflite --num_threads=1 --num_runs=4 "
        "--min_secs=0.05 --max_secs=60.0 --warmup_runs=1 --warmup_min_secs=0.2 --use_xnnpack=true"
    )


def test_a_tool_older_than_xnnpack_is_not_asked_about_it() -> None:
    assert "xnnpack" not in command("c", "tool", "graph", 1, 4, ToolOptions(use_xnnpack=None))


def test_a_battery_is_read() -> None:
    assert parse_battery(BATTERY) == Battery(level=0.84, charging=True, celsius=32.6)


def test_a_cold_battery_that_discharges_on_a_weak_port_does_not_charge() -> None:
    text = BATTERY.replace("status: 2", "status: 3").replace("temperature: 326", "temperature: -15")
    assert parse_battery(text) == Battery(level=0.84, charging=False, celsius=-1.5)


def test_a_phone_without_battery_service_is_told_by_its_words() -> None:
    with pytest.raises(ValueError, match="Can't find service: battery"):
        parse_battery("Can't find service: battery\n")


@pytest.mark.parametrize(("mask", "core"), [("0xC", 2), ("f0", 4), ("1", 0)])
def test_the_first_core_of_a_mask(mask: str, core: int) -> None:
    assert first_core(mask) == core


def test_the_sizes_of_files_leave_the_total_out() -> None:
    text = " 300000 /data/local/tmp/nas-1/0.tflite\n5 /data/local/tmp/nas-1/benchmark_model\n300005 total\n"
    assert parse_sizes(text) == {"0.tflite": 300000, "benchmark_model": 5}


def test_a_folder_with_nothing_in_it_has_no_sizes() -> None:
    assert parse_sizes("wc: /data/local/tmp/nas-1/*: No such file or directory\n") == {}
