"""Writing to what was named: links, devices, pipes, descriptors, and files with their modes."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actwise.errors import RunError
from actwise.run.files import remove, write_named, write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")


def text(path: Path) -> object:
    return path.write_bytes(b"new\n")


def half(path: Path) -> object:
    path.write_bytes(b"ne")
    raise ValueError("broken off")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_keeps_its_mode_and_owner(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "private.jsonl"
    file.write_text("old")
    file.chmod(mode)
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
    before = file.stat()
    seen: list[int] = []

    def write(path: Path) -> None:
        seen.append(stat.S_IMODE(path.stat().st_mode))
        path.write_bytes(b"new\n")

    write_named(file, write)
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert seen == [0o600]  # while it is written, too
    assert file.read_bytes() == b"new\n"
    assert os.listdir(tmp_path) == ["private.jsonl"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("old")
    with pytest.raises(ValueError):
        write_named(file, half)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_links_are_followed_and_stay(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "file.jsonl"
    file.write_text("old")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(file)
    write_named(tmp_path / "one", text)
    assert (tmp_path / "one").is_symlink() and (tmp_path / "two").is_symlink()
    assert file.read_text() == "new\n" and not file.is_symlink()
    (tmp_path / "dangling").symlink_to("deep/made.jsonl")
    write_named(tmp_path / "dangling", text)
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "deep" / "made.jsonl").read_text() == "new\n"


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RunError, match=r"loop: cannot be written: .*symbolic links"):
        write_named(tmp_path / "loop", text)
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        write_named(tmp_path, text)


def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_named(pipe, text)
    reader.join()
    assert read == [b"new\n"]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


@as_root
@pytest.mark.parametrize("through_link", [False, True])
def test_a_device_is_written_into_and_stays(tmp_path: Path, through_link: bool) -> None:
    null, full, link = (tmp_path / name for name in ("null", "full", "link"))
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    link.symlink_to("null")
    try:
        null.write_bytes(b"")
    except PermissionError:
        pytest.skip("devices do not work in this folder")
    write_named(link if through_link else null, text)
    assert stat.S_ISCHR(null.lstat().st_mode) and link.is_symlink()
    with pytest.raises(RunError, match="full: the disk is full"):
        write_named(full, text)
    assert stat.S_ISCHR(full.lstat().st_mode)


WRITE = """
import sys
from pathlib import Path
from actwise.run.files import write_named
print("before", flush=True)
write_named(Path(sys.argv[1]), lambda path: path.write_bytes(b"new\\n"))
print("after", flush=True)
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_descriptor_goes_on_where_it_is(tmp_path: Path, name: str, mode: str) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    (tmp_path / "link").symlink_to("/dev/stdout")
    out = tmp_path / "redirected"
    out.write_text("old\n")
    with out.open(mode) as file:
        subprocess.run([sys.executable, "-c", WRITE, name], stdout=file, cwd=tmp_path, check=True)
    assert out.read_text() == ("old\n" if mode == "ab" else "") + "before\nnew\nafter\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    file.write_text("old")
    file.chmod(0o444)
    with pytest.raises(RunError, match="cannot be written: Permission denied"):
        write_named(file, text)
    assert file.read_text() == "old"


def test_a_file_of_a_run_takes_the_place_of_a_link(tmp_path: Path) -> None:
    """A run folder may be somebody else's, and lead out of itself."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "report.html").symlink_to(outside)
    write_text(tmp_path / "report.html", "new")
    assert outside.read_text() == "mine"
    assert not (tmp_path / "report.html").is_symlink()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("")
    for name, target in (("to_folder", "folder"), ("to_nothing", "nothing")):
        (tmp_path / name).symlink_to(target)
        remove(tmp_path / name)
    remove(tmp_path / "never_was")
    assert sorted(os.listdir(tmp_path)) == ["folder"]
    assert (tmp_path / "folder" / "kept").exists()
