"""Compiled programs on the disk: what is not as it was kept is not used; nothing is an error."""

import os
import subprocess
import sys

import pytest

from boxest.system import compilation_cache
from boxest.system.compilation_cache import CompiledPrograms


@pytest.fixture(autouse=True)
def _own_places(tmp_path, monkeypatch):
    """Keys and directories of the processes lie in the test's own directory."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(compilation_cache, "_PLACES", (str(place), str(place)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def shared(tmp_path):
    """A directory with two entries that a process has kept."""
    programs = CompiledPrograms(tmp_path / "compiled", "machine")
    (programs.own / "a.pb").write_bytes(b"some native code" * 20)
    (programs.own / "b.pb").write_bytes(b"other code")
    (programs.own / "b.pb.tmp").write_bytes(b"half of it")
    programs.keep()
    return tmp_path / "compiled"


def taken(shared, machine="machine"):
    programs = CompiledPrograms(shared, machine)
    return {path.name: path.read_bytes() for path in programs.own.iterdir()}


def entry(shared, name):
    (path,) = shared.glob(f"*/{name}.checked")
    return path


def test_the_next_process_finds_what_was_kept(shared):
    assert taken(shared) == {"a.pb": b"some native code" * 20, "b.pb": b"other code"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: bytes([content[0] ^ 128]) + content[1:],
        lambda content: content[:-1],
        lambda content: b"",
    ],
    ids=["bit", "bit of the digest", "cut short", "empty"],
)
def test_a_damaged_entry_is_dropped(shared, damage):
    path = entry(shared, "a.pb")
    path.write_bytes(damage(path.read_bytes()))
    assert list(taken(shared)) == ["b.pb"]
    assert not path.exists()


def test_an_entry_under_another_name_is_dropped(shared):
    entry(shared, "a.pb").rename(entry(shared, "b.pb"))
    assert taken(shared) == {}


@pytest.mark.parametrize("other", ["user", "machine"])
def test_entries_of_another_user_or_machine_are_not_used(shared, tmp_path, monkeypatch, other):
    if other == "user":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    (directory,) = shared.iterdir()
    directory.rename(shared / directory.name.replace("machine", "another"))
    assert taken(shared, "another") == {}


def test_without_a_home_nothing_is_kept_and_nothing_fails(shared, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    before = sorted(shared.rglob("*"))
    programs = CompiledPrograms(shared, "machine")
    (programs.own / "c.pb").write_bytes(b"new")
    programs.keep()
    assert sorted(shared.rglob("*")) == before


def test_a_directory_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "compiled").touch()
    programs = CompiledPrograms(tmp_path / "compiled", "machine")
    (programs.own / "a.pb").write_bytes(b"code")
    programs.keep()
    assert (tmp_path / "compiled").read_bytes() == b""


def test_what_the_backend_cannot_use_is_forgotten(shared):
    programs = CompiledPrograms(shared, "machine")
    programs.forget()
    assert list(programs.own.iterdir()) == []
    assert taken(shared) == {}


def test_leftovers_of_killed_processes_are_swept_and_nothing_else(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    place = tmp_path / "tmp"
    left = place / f"boxest-compiled-{ended.pid}-0123abcd"
    stays = [
        place / f"boxest-compiled-{os.getpid()}-0123abcd",
        place / f"boxest-compiled-{ended.pid}-notes000",
        place / "boxest-compiled-results",
    ]
    for path in [left, *stays]:
        path.mkdir()
    CompiledPrograms(tmp_path / "compiled", "machine")
    assert not left.exists()
    assert all(path.is_dir() for path in stays)


def test_a_process_leaves_nothing_in_its_own_place(tmp_path):
    programs = CompiledPrograms(tmp_path / "compiled", "machine")
    (programs.own / "a.pb").write_bytes(b"code")
    programs._remove()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert len(list((tmp_path / "compiled").rglob("*.checked"))) == 1
