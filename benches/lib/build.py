# SPDX-License-Identifier: MIT OR Apache-2.0

"""Makes the peers. One that cannot be made is missing from the comparison, with the reason; ours cannot be missing."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

from .catalogue import FLOOR, PEERS
from .settings import Wrong

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCHES = ROOT / "benches"
OUT = ROOT / "build" / "bench"

# Without these there is nothing to compare.
NEEDED = (FLOOR, "ctrack")


@dataclasses.dataclass
class Built:
    """`commands`: how to start each peer. `missing`: why one cannot be. `versions`: of what is compared."""

    commands: dict = dataclasses.field(default_factory=dict)
    missing: dict = dataclasses.field(default_factory=dict)
    versions: dict = dataclasses.field(default_factory=dict)


def say(text):
    print(text, file=sys.stderr, flush=True)


def reason(output):
    """The line of a compiler's or installer's output that says why, without paths of this machine."""
    lines = [line.strip() for line in output.replace(f"{ROOT}/", "").splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|not found|cannot|no such|denied", line, re.IGNORECASE)]
    return (telling or lines or ["it failed without a word"])[0][:200]


def run(command, **more):
    """Runs a command and returns None, or why it failed."""
    try:
        done = subprocess.run(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return None if done.returncode == 0 else reason(done.stdout)


def output(command, **more):
    """What a command prints, or "" if it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            **more,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def everything(settings):
    """Builds libctrack and every peer that is wanted."""
    say("building")
    subprocess.run([os.environ.get("MAKE") or "make", "-s", "all"], cwd=ROOT, stdout=sys.stderr, check=True)
    OUT.mkdir(parents=True, exist_ok=True)
    strange = [peer for peer in settings.peers if peer not in PEERS]
    if strange:
        raise Wrong(f"PEERS names no peer: {' '.join(strange)}; there are: {' '.join(PEERS)}")
    wanted = [peer for peer in PEERS if peer in NEEDED or not settings.peers or peer in settings.peers]
    built = Built()
    makers = {"C": _c, "Rust": _rust, "Go": _go, "Python": _python}
    for language, maker in makers.items():
        peers = [peer for peer in wanted if PEERS[peer].language == language]
        if peers:
            maker(settings, peers, built)
    for peer in NEEDED:
        if peer in built.missing:
            raise Wrong(f"{peer} cannot be built: {built.missing[peer]}")
    return built


def _add(built, peer, failure, command, version=""):
    if failure:
        built.missing[peer] = failure
        return
    built.commands[peer] = [str(word) for word in command]
    if version:
        built.versions[peer] = version


def _c(settings, peers, built):
    compiler = [*settings.cc.split(), "-std=c99", "-D_GNU_SOURCE", *settings.cflags.split(), "-Wall", "-Wextra"]
    compiler += ["-I", ROOT / "include"]
    more = {
        "raw": [BENCHES / "raw_netlink.c", BENCHES / "raw_requests.c", BENCHES / "raw_events.c"],
        "ctrack": ["-L", ROOT / "build", "-lctrack", f"-Wl,-rpath,{ROOT / 'build'}"],
        "lnfct": [BENCHES / "lnfct_memory.c", "-lnetfilter_conntrack"],
    }
    versions = {
        "ctrack": output(["sed", "-n", 's/^version = "\\(.*\\)"/\\1/p', ROOT / "Cargo.toml"]),
        "lnfct": output(["pkg-config", "--modversion", "libnetfilter_conntrack"]),
        "conntrack": output(["conntrack", "--version"]),
    }
    for peer in peers:
        program = OUT / peer
        sources = [BENCHES / f"{peer}.c", BENCHES / "bench.c"]
        if peer == "conntrack" and not shutil.which("conntrack"):
            failure = "the program conntrack is not installed"
        else:
            failure = run([*compiler, "-o", program, *sources, *more.get(peer, [])])
        _add(built, peer, failure, [program], versions.get(peer, ""))


def _rust(_, peers, built):
    crate = BENCHES / "rust"
    target = OUT / "rust"
    failure = run(
        ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", crate / "Cargo.toml", "--target-dir", target]
    )
    lock = (crate / "Cargo.lock").read_text(encoding="utf-8")
    for peer in peers:
        name = "ctrack" if peer == "rust-ctrack" else "netlink-packet-netfilter"
        version = re.search(rf'name = "{name}"\nversion = "([^"]*)"', lock)
        _add(built, peer, failure, [target / "release" / peer], version[1] if version else "")


def _pkg_config():
    """libctrack as it lies in the tree, for pkg-config."""
    directory = OUT / "pkgconfig"
    directory.mkdir(exist_ok=True)
    text = (ROOT / "build" / "libctrack.pc").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^libdir=.*$", f"libdir={ROOT / 'build'}", text)
    text = re.sub(r"(?m)^includedir=.*$", f"includedir={ROOT / 'include'}", text)
    (directory / "libctrack.pc").write_text(text, encoding="utf-8")
    return directory


def _go(_, peers, built):
    modules = {
        "ti-mo": "github.com/ti-mo/conntrack",
        "vishvananda": "github.com/vishvananda/netlink",
        "florianl": "github.com/florianl/go-conntrack",
    }
    environment = {
        **os.environ,
        "PKG_CONFIG_PATH": str(_pkg_config()),
        "CGO_LDFLAGS": f"-Wl,-rpath,{ROOT / 'build'}",
    }
    source = BENCHES / "go"
    for peer in peers:
        failure = run(["go", "build", "-trimpath", "-o", OUT / peer, f"./{peer}"], cwd=source, env=environment)
        version = ""
        if peer in modules:
            version = output(["go", "list", "-m", "-f", "{{.Version}}", modules[peer]], cwd=source)
        _add(built, peer, failure, [OUT / peer], version)


def _python(_, peers, built):
    interpreter = OUT / "venv" / "bin" / "python"
    failure = None
    if not interpreter.exists():
        failure = run([sys.executable, "-m", "venv", OUT / "venv"])
    libraries = {"LD_LIBRARY_PATH": ROOT / "build", "PYTHONPATH": ROOT / "python", "PYTHONDONTWRITEBYTECODE": 1}
    environment = ["env", *(f"{name}={value}" for name, value in libraries.items())]
    for peer in peers:
        why, version = failure, ""
        program = BENCHES / "python" / f"peer_{peer.replace('-', '_')}.py"
        start = [*environment, interpreter]
        if not why and peer == "pyroute2":
            requirements = BENCHES / "python" / "requirements.txt"
            why = run([interpreter, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-r", requirements])
            version = output([*start, "-c", "import importlib.metadata as m; print(m.version('pyroute2'))"])
        elif not why:
            # The program without an operation gets as far as its usage, if all that it imports is there.
            said = subprocess.run([*map(str, start), program], capture_output=True, text=True, check=False).stderr
            why = None if said.startswith("usage:") else reason((said.splitlines() or [""])[-1])
        _add(built, peer, why, [*start, program], version)
