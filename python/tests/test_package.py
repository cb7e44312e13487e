# SPDX-License-Identifier: MIT OR Apache-2.0
"""What holds the package and the library together: versions, layout, prototypes, constants, how the library is found."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import ctrack
from ctrack import _native

# Links to files of the library's sources; an sdist has the files themselves.
REPOSITORY = Path(__file__).resolve().with_name("repository")
HEADER = (REPOSITORY / "ctrack.h").read_text()


def test_the_version_is_that_of_the_library() -> None:
    parts = re.findall(r"^#define CT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", HEADER, re.MULTILINE)
    assert ".".join(parts) == ctrack.__version__ == ctrack.version()


def test_every_struct_has_the_layout_that_the_library_promises() -> None:
    structs = {"ct_open_opts": _native.OpenOpts, "ct_filter": _native.CFilter, "ct_tuple": _native.CTuple}
    structs |= {"ct_counters": _native.CCounters, "ct_entry": _native.CEntry, "ct_result": _native.CResult}
    structs |= {"ct_event": _native.CEvent, "ct_watch_opts": _native.CWatchOpts, "ct_watch_info": _native.CWatchInfo}
    mine = []
    for name, struct in structs.items():
        mine.append(f"{name} {ctypes.sizeof(struct)}")
        for field, *_ in struct._fields_:
            at = getattr(struct, field)
            mine.append(f"{name}.{field} {at.offset} {at.size}")
    assert mine == (REPOSITORY / "layout.txt").read_text().split("\n")[:-1]


def test_every_function_of_the_library_has_a_prototype() -> None:
    # But for those that make filters: ctrack.presets makes them without, so that libraries of release 0.1 will do.
    functions = (REPOSITORY / "symbols.txt").read_text().split()
    assert sorted(_native._PROTOTYPES) == [name for name in functions if not name.startswith("ct_filter_")]
    for name, (_, arguments) in _native._PROTOTYPES.items():
        function = getattr(_native.lib, name)
        assert function.argtypes == arguments, name
        declared = re.search(rf"^[a-z][^(]*\b{name}\(([^)]*)\);", HEADER, re.MULTILINE)
        assert declared, name
        count = 0 if declared[1] == "void" else declared[1].count(",") + 1
        assert len(arguments) == count, name


def test_errors_are_familiar_ones_too() -> None:
    classes = [
        (ctrack.InvalidArgumentError, ValueError),
        (ctrack.PermissionDeniedError, PermissionError),
        (ctrack.TimedOutError, TimeoutError),
        (ctrack.ForkedError, ChildProcessError),
        (ctrack.ClosedError, ValueError),
        (ctrack.TableChangedError, OSError),
    ]
    for own, familiar in classes:
        assert issubclass(own, familiar) and issubclass(own, ctrack.Error) and issubclass(own, OSError)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("CTRACK_LIBRARY", "LD_LIBRARY_PATH", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**env, **environment}, capture_output=True, text=True, check=False, cwd="/"
    )


def stray_copy(tmp_path: Path) -> Path:
    """The package without any library in it, wherever it came from."""
    copy = tmp_path / "ctrack"
    copy.mkdir()
    for file in Path(ctrack.__file__).parent.glob("*.py"):
        (copy / file.name).write_text(file.read_text())
    return copy


def test_a_missing_or_wrong_library_is_an_import_error_that_says_what_to_do(tmp_path: Path) -> None:
    copy = stray_copy(tmp_path)
    # No library is in the copy, and this is no library either, wherever one may be installed.
    (copy / "libctrack.so.0").write_text("not a library")
    done = python("import ctrack", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and "ImportError: ctrack needs libctrack.so.0" in done.stderr
    assert "Install libctrack" in done.stderr
    (copy / "libctrack.so.0").unlink()
    (copy / "libctrack.so.0").symlink_to(next(Path("/").glob("lib*/**/libc.so.6")))
    done = python("import ctrack", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and "not libctrack" in done.stderr


def library() -> str:
    """The path of the library that this process runs."""
    with open("/proc/self/maps") as maps:
        return next(line.split()[-1] for line in maps if "libctrack.so" in line)


def test_the_library_that_the_environment_names_comes_before_the_one_in_the_package(tmp_path: Path) -> None:
    copy = stray_copy(tmp_path)
    (copy / "libctrack.so.0").symlink_to(library())
    named = tmp_path / "named.so"
    named.write_bytes(Path(library()).read_bytes())
    for name, expected in ((str(named), str(named)), ("", library())):
        done = python("import ctrack; print(open('/proc/self/maps').read())", PYTHONPATH=str(tmp_path), CTRACK_LIBRARY=name)
        mapped = {line.split()[-1] for line in done.stdout.splitlines() if line}
        assert mapped & {str(named), library()} == {expected}, done.stderr
    done = python("import ctrack", PYTHONPATH=str(tmp_path), CTRACK_LIBRARY="/nowhere/libctrack.so")
    assert done.returncode == 1 and "and /nowhere/libctrack.so could not be loaded" in done.stderr


def test_python_that_ignores_its_environment_ignores_the_name_of_the_library_too(tmp_path: Path) -> None:
    copy = stray_copy(tmp_path)
    (copy / "libctrack.so.0").symlink_to(library())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import ctrack; print(ctrack.version())"
    env = {**os.environ, "CTRACK_LIBRARY": "/nowhere/libctrack.so"}
    done = subprocess.run([sys.executable, "-E", "-c", code], env=env, capture_output=True, text=True, check=False, cwd="/")
    assert (done.stdout, done.returncode) == (f"{ctrack.version()}\n", 0), done.stderr


def test_a_library_that_is_too_old_is_refused(tmp_path: Path) -> None:
    stray_copy(tmp_path)
    native = tmp_path / "ctrack" / "_native.py"
    text = native.read_text()
    assert text.count("OLDEST = 0 * 65536 + 1 * 256 + 0") == 1
    native.write_text(text.replace("OLDEST = 0 * 65536 + 1 * 256 + 0", "OLDEST = 1 * 65536"))
    done = python("import ctrack", PYTHONPATH=str(tmp_path), CTRACK_LIBRARY=library())
    assert done.returncode == 1 and "or later, but" in done.stderr and "0.1.0" in done.stderr


def test_a_library_of_release_0_1_does_and_whoever_watches_is_told(tmp_path: Path) -> None:
    copy = stray_copy(tmp_path)
    old = tmp_path / "old.c"
    functions = [name for name in _native._PROTOTYPES if name not in _native._SINCE_0_2 and not name.startswith("ct_version_")]
    assert len(functions) == len(_native._PROTOTYPES) - len(_native._SINCE_0_2) - 2
    stubs = "".join(f"int {name}(void) {{ return 0; }}\n" for name in functions if name != "ct_strerror")
    version = 'int ct_version_number(void) { return 256; }\nconst char *ct_version_string(void) { return "0.1.0"; }\n'
    old.write_text(f'{stubs}{version}const char *ct_strerror(int e) {{ return "?"; }}\n')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "old.so"), str(old)], check=True)
    code = "import ctrack; print(ctrack.version()); ctrack.Watch()"
    done = python(code, PYTHONPATH=str(copy.parent), CTRACK_LIBRARY=str(tmp_path / "old.so"))
    assert done.stdout == "0.1.0\n" and "watch: needs libctrack 0.2 or later" in done.stderr


def test_the_layout_is_checked_when_the_package_is_imported(tmp_path: Path) -> None:
    stray_copy(tmp_path)
    native = tmp_path / "ctrack" / "_native.py"
    native.write_text(native.read_text().replace('("mark_mask", c_uint32)', '("mark_mask", c_uint64)'))
    done = python("import ctrack", PYTHONPATH=str(tmp_path), LD_LIBRARY_PATH=os.environ.get("LD_LIBRARY_PATH", ""))
    size = ctypes.sizeof(_native.CFilter)
    assert done.returncode == 1 and f"struct ct_filter has {size + 8} bytes here instead of {size}" in done.stderr
