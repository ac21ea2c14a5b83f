"""boxest.system.files: whole files or none."""

import os
import signal
import subprocess
import sys

import pytest

from boxest.system.files import (
    FileError,
    atomic_folder,
    atomic_path,
    check_file,
    write_json,
    write_text,
)


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "directory" / "table.csv"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith("table.csv")
        temporary.write_text("a,b\n")
        assert not path.exists()
    assert path.read_text() == "a,b\n"
    assert os.listdir(path.parent) == ["table.csv"]


def test_a_name_that_is_not_utf_8_is_named_and_nothing_is_written(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    with pytest.raises(FileError, match=r"found\.csv is written as UTF-8, but 'caf\\udce9\.png"):
        write_text(tmp_path / "found.csv", f"image,x1\na.png,1\n{name},1\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"model\.keras"),
        atomic_path(tmp_path / "model.keras"),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_two_writers_at_once_use_different_files(tmp_path):
    path = tmp_path / "x"
    with atomic_path(path) as one, atomic_path(path) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"
    assert os.listdir(tmp_path) == ["x"]


def test_the_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "x", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_text_and_json(tmp_path):
    write_text(tmp_path / "a.txt", "1 − IoU\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "1 − IoU\r\n".encode()
    write_json(tmp_path / "a.json", {"a": 1, "b": None})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1,\n  "b": null\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1,\n  "b": null\n}\n'


@pytest.mark.fault
def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    code = (
        "import os, signal, sys\n"
        "from boxest.system.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folder"
    with atomic_folder(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
        (temporary / "a").write_text("content")
        assert not path.exists()
    assert (path / "a").read_text() == "content"
    assert os.listdir(path.parent) == ["folder"]


def test_an_empty_folder_is_filled_and_another_one_is_left_alone(tmp_path):
    (tmp_path / "empty").mkdir()
    with atomic_folder(tmp_path / "empty") as temporary:
        (temporary / "a").touch()
    assert os.listdir(tmp_path / "empty") == ["a"]
    for there in (tmp_path / "empty", tmp_path / "empty" / "a"):
        with (
            pytest.raises(FileExistsError, match=r"not (empty|an empty)"),
            atomic_folder(there),
        ):
            pass
    (tmp_path / "link").symlink_to(tmp_path / "empty" / "a")
    with pytest.raises(FileExistsError, match="is a file"), atomic_folder(tmp_path / "link"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["empty", "link"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_no_folder(tmp_path, error):
    def write_half():
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "a").touch()
            raise error

    with pytest.raises(error):
        write_half()
    assert os.listdir(tmp_path) == []


def test_a_file_that_could_not_be_made_is_refused_long_before(tmp_path):
    (tmp_path / "taken").write_text("")
    check_file(tmp_path / "new" / "folder" / "model.boxest")
    check_file(tmp_path / "taken")
    with pytest.raises(FileExistsError, match=r"taken already exists: use another name, or pass"):
        check_file(tmp_path / "taken", overwrite=False)
    with pytest.raises(NotADirectoryError, match="taken is not a folder: choose another"):
        check_file(tmp_path / "taken" / "model.boxest")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_file_replaces_no_folder_and_no_device(tmp_path):
    """A training must not end with a model that cannot be written."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in {"folder": "It is a folder, not a file", "pipe": "It is a device"}.items():
        with pytest.raises(FileExistsError, match=message):
            check_file(tmp_path / name, overwrite=True)
        with pytest.raises(FileExistsError, match=message), atomic_path(tmp_path / name):
            pass


def test_the_folder_of_a_link_is_checked_because_the_link_is_replaced(tmp_path, monkeypatch):
    for name in ("links", "files"):
        (tmp_path / name).mkdir()
    (tmp_path / "files" / "model").touch()
    (tmp_path / "links" / "model").symlink_to(tmp_path / "files" / "model")
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "links")
    with pytest.raises(PermissionError, match="links cannot be written to"):
        check_file(tmp_path / "links" / "model")
