"""What Ray is told before it is imported."""

import os

import pytest

from nas.ray_setup import has_token, prepare

NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # remembered, so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_ray_of_this_machine_keeps_to_loopback():
    prepare(None)
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_cluster_is_joined_from_the_network_and_without_a_token_none_is_shown():
    prepare("10.0.0.1:6379")
    assert not has_token()
    assert not set(NAMES) & set(os.environ)


@pytest.mark.parametrize("where", ["home", "path", "variable"])
def test_a_cluster_is_shown_the_token_where_there_is_one(monkeypatch, tmp_path, where):
    if where == "variable":
        monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    else:
        path = tmp_path / ".ray" / "auth_token" if where == "home" else tmp_path / "token"
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
        if where == "path":
            monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    prepare("10.0.0.1:6379")
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    prepare("10.0.0.1:6379")
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
