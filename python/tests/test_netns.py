# SPDX-License-Identifier: MIT OR Apache-2.0
"""Network namespaces by name, and processes without /proc."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import drop_capability, in_thread, new_netns, run, udp

import ctrack
from ctrack import Conntrack, _namespace

CAP_NET_ADMIN = 12


@pytest.fixture
def named(ct: Conntrack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where namespaces have names, for this test: it must not meddle with those of the machine."""
    monkeypatch.setattr(_namespace, "_NAMED", str(tmp_path))
    yield tmp_path


def give_name(path: Path, netns: int) -> None:
    """What `ip netns add` does, but for the mount, which a symbolic link stands for."""
    path.symlink_to(f"/proc/{os.getpid()}/fd/{netns}")


def test_a_namespace_is_opened_by_its_name(named: Path, ct: Conntrack) -> None:
    blue = new_netns()
    try:
        give_name(named / "blue", blue)
        with (
            ctrack.open(netns="blue") as other,
            ctrack.open(netns=str(named / "blue")) as by_path,
            ctrack.open(netns=blue) as by_fd,
        ):
            other.create([udp("10.0.0.1", 1, "10.0.0.2", 53)])
            assert (other.count(), by_path.count(), by_fd.count(), ct.count()) == (1, 1, 1, 0)
        with ctrack.open(netns=named / "blue") as other:
            assert other.count() == 1
    finally:
        os.close(blue)


def test_a_name_that_there_is_not_is_an_error_that_says_which_there_are(named: Path) -> None:
    (named / "green").touch()
    (named / "red").touch()
    with pytest.raises(FileNotFoundError) as caught:
        ctrack.open(netns="blue")
    text = "netns: no network namespace has the name 'blue' (there are: green, red; a path has a slash in it)"
    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == (errno.ENOENT, text, str(named / "blue"))
    (named / "green").unlink()
    (named / "red").unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"there are: none;"):
            ctrack.open(netns="blue")
        if named.exists():
            named.rmdir()


def refused(netns: ctrack.NetnsLike, text: str) -> None:
    with pytest.raises(ctrack.InvalidArgumentError) as caught:
        ctrack.open(netns)
    assert caught.value.strerror == text


def test_what_has_a_name_and_is_no_namespace_is_refused(named: Path) -> None:
    (named / "file").touch()
    (named / "directory").mkdir()
    os.mkfifo(named / "fifo")
    for name in ("file", "directory", "fifo"):
        refused(name, f"netns: '{name}' is no network namespace")
        refused(named / name, f"netns: '{named / name}' is no network namespace")
    for name in ("", ".", ".."):
        with pytest.raises(ctrack.InvalidArgumentError, match="is no name of a network namespace"):
            ctrack.open(netns=name)
    with pytest.raises(ctrack.InvalidArgumentError, match="netns: .*embedded null"):
        ctrack.open(netns="a\0b")
    with pytest.raises(ctrack.InvalidArgumentError, match="neither a name, a path nor a descriptor"):
        ctrack.open(netns=1.5)  # type: ignore[arg-type]


def test_what_is_no_namespace_is_named_as_it_was_given(netns: int, tmp_path: Path) -> None:
    refused("/etc/passwd", "netns: '/etc/passwd' is no network namespace")
    refused("/proc/self/ns/uts", "netns: '/proc/self/ns/uts' is no network namespace")
    file = os.open(tmp_path, os.O_RDONLY)
    try:
        refused(file, f"netns: descriptor {file} is no network namespace")
    finally:
        os.close(file)
    with pytest.raises(OSError) as caught:
        ctrack.open(file)
    assert not isinstance(caught.value, ctrack.Error)
    assert (caught.value.errno, caught.value.strerror) == (errno.EBADF, f"netns: descriptor {file}: Bad file descriptor")


def test_an_object_shows_its_namespace_and_whether_it_is_open(named: Path, netns: int) -> None:
    blue = new_netns()
    try:
        give_name(named / "blue", blue)
        ways: list[tuple[ctrack.NetnsLike, str, int]] = [
            (None, "the caller's namespace", os.stat("/proc/thread-self/ns/net").st_ino),
            ("blue", "'blue'", os.fstat(blue).st_ino),
            (named / "blue", f"'{named / 'blue'}'", os.fstat(blue).st_ino),
            (blue, f"descriptor {blue}", os.fstat(blue).st_ino),
        ]
        for given, name, inode in ways:
            with ctrack.open(given) as ct:
                assert repr(ct) == str(ct) == f"<ctrack.Conntrack: {name}, net:[{inode}], open>"
            assert repr(ct) == f"<ctrack.Conntrack: {name}, net:[{inode}], closed>"
    finally:
        os.close(blue)
    assert repr(Conntrack.__new__(Conntrack)) == "<ctrack.Conntrack: not opened>"


def test_in_a_child_process_an_object_shows_whose_it_is(ct: Conntrack) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(ct).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as shown:
        assert shown.read() == repr(ct).replace(", open>", ", of a parent process>")
    assert os.waitpid(child, 0)[1] == 0


def test_names_are_those_of_ip_netns(netns: int) -> None:
    script = """
        mount -t tmpfs none /run && mkdir /run/netns
        ip netns add blue && ip netns exec blue "$1" -c 'import ctrack, sys
with ctrack.open() as ct:
    ct.create([ctrack.Entry(proto="udp", orig_src="10.0.0.1", orig_sport=1, orig_dst="10.0.0.2", orig_dport=2, timeout=60)])'
        exec "$1" -c 'import ctrack
with ctrack.open("blue") as blue, ctrack.open() as here:
    print(blue.count(), here.count())'
    """
    assert run("unshare", "-m", "sh", "-ec", script, "sh", sys.executable) == "1 0\n"


WITHOUT_PROC = """
import os, threading
assert not os.path.exists("/proc/self")
import ctrack, ctrack.neutron
with ctrack.open() as ct:
    flows = [ctrack.Entry(proto="udp", orig_src="10.0.0.1", orig_sport=n, orig_dst="10.0.0.2", orig_dport=2, timeout=60) for n in range(5)]
    assert ct.create(flows).done == 5
    assert len(ct.list()) == 5 and sum(1 for _ in ct) == 5
    assert ct.get(flows[0]) is not None
    done = []
    thread = threading.Thread(target=lambda: done.append(ct.delete(ctrack.Filter(orig_src="10.0.0.1")).done))
    thread.start()
    thread.join()
    assert done == [5], done
    # In a namespace of its own this thread still works in the first one.
    ct.create(flows)
    os_unshare = __import__("ctypes").CDLL(None).unshare
    def elsewhere():
        assert os_unshare(0x40000000) == 0
        with ctrack.open() as own:
            done.append((own.count(), len(ct.list())))
    handles = [ct.stream() for _ in range(5)]
    for handle in handles:
        next(handle)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done == [5, (0, 5)], done
print("fine")
"""


@pytest.mark.parametrize("mount", ["mount -t tmpfs none /proc", "mount --bind /sys /proc"])
def test_everything_works_without_proc(netns: int, mount: str) -> None:
    script = f'{mount} && exec "$@"'
    assert run("unshare", "-m", "sh", "-ec", script, "sh", sys.executable, "-c", WITHOUT_PROC) == "fine\n"


def test_the_namespace_is_the_same_with_and_without_proc(netns: int) -> None:
    opened = _namespace._own_by_socket()
    try:
        stat = os.fstat(opened)
        assert (stat.st_dev, stat.st_ino) == _namespace.own_is()
        assert not os.get_inheritable(opened)
    finally:
        os.close(opened)


def test_without_proc_and_without_the_capability_opening_says_what_is_missing(
    netns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_namespace, "_OWN_NETNS", "/nonexistent")

    def attempt() -> None:
        drop_capability(CAP_NET_ADMIN)
        with pytest.raises(ctrack.PermissionDeniedError, match="without /proc needs CAP_NET_ADMIN"):
            ctrack.open()

    in_thread(attempt)
