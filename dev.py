#!/usr/bin/env python3
"""Everything a contributor runs, on a machine with Python 3.11 or newer and nothing else.

    python3 dev.py demo            set up, then a simulated meter and a real client over TCP
    python3 dev.py test [ARGS]     set up, then the tests; ARGS go to pytest
    python3 dev.py lint            format, lint, types, import contracts, module sizes
    python3 dev.py check           lint and test: all that a reviewer runs, documentation examples among them
    python3 dev.py fix             format and mend what the linter can mend
    python3 dev.py soak            the long runs, over an hour: 10,000 fault seeds, 3,000 kills, fuzzing, a listener
    python3 dev.py bench [ARGS]    the benchmarks, against the peers, in one run
    python3 dev.py bench pushes    octets to readings; also 'bench listening' (many meters), 'bench publishing' (MQTT)
    python3 dev.py run ARGS        the cosemic command of this checkout

The virtual environment is ``.venv`` in the checkout; the foreign libraries that the tests talk to live in
``.venv-peers``, each in an environment of its own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PEER_ENVIRONMENTS = ROOT / ".venv-peers"
MODULE_LINES = 600

#: what each foreign library is installed from; an environment of its own keeps licences and dependencies apart
PEERS: dict[str, tuple[str, ...]] = {
    "gurux-dlms": ("gurux-dlms==1.0.203", "gurux-net", "gurux-common"),
    "dlms-cosem": ("dlms-cosem==25.1.0",),
    "pydlms-client": ("pydlms-client==0.1.0", "cryptography", "pyserial"),
    "amshan": ("amshan==2.1.1",),
    "dsmr-parser": ("dsmr-parser==1.11.2",),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status is the command's."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this line is for those who run it with an older one
        return _complain(f"cosemic needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "demo": _demo,
        "test": _test,
        "lint": _lint,
        "check": lambda arguments: _lint(()) | _test(arguments),
        "fix": _fix,
        "soak": _soak,
        "bench": _bench,
        "run": _run,
    }
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 0 if arguments and arguments[0] in {"-h", "--help", "help"} else 2
    try:
        return commands[arguments[0]](arguments[1:])
    except subprocess.CalledProcessError as error:
        return _complain(f"set-up failed: {' '.join(map(str, error.cmd))} ended with {error.returncode}")
    except KeyboardInterrupt:
        return 130


def _demo(arguments: Sequence[str]) -> int:
    python = _environment("cli,serial")
    return _call(python, "-m", "cosemic.cli", "demo", *arguments)


def _run(arguments: Sequence[str]) -> int:
    python = _environment("listen")
    return _call(python, "-m", "cosemic.cli", *arguments)


def _test(arguments: Sequence[str]) -> int:
    # Continuous integration fuzzes for a short time too; for everybody else atheris is a large download.
    python = _environment("dev,fuzz" if os.environ.get("CI") else "dev")
    _peers()
    if all(argument.startswith("-") for argument in arguments):
        # All of them, side by side; the tests of a file stay together, as they share servers.
        arguments = ("-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile", *arguments)
    return _call(python, "-m", "pytest", *arguments)


def _lint(arguments: Sequence[str]) -> int:
    python = _environment("dev")
    steps: list[tuple[str, Callable[[], int]]] = [
        ("format", lambda: _call(python, "-m", "ruff", "format", "--check", "--quiet", ".")),
        ("lint", lambda: _call(python, "-m", "ruff", "check", ".")),
        ("types", lambda: _call(python, "-m", "mypy")),
        ("import contracts", lambda: _call(python.with_name("lint-imports" + python.suffix))),
        ("module sizes", _module_sizes),
    ]
    failed = []
    for name, step in steps:
        print(f"== {name}", flush=True)
        if step():
            failed.append(name)
    return _complain("not green: " + ", ".join(failed)) if failed else 0


def _fix(arguments: Sequence[str]) -> int:
    python = _environment("dev")
    _call(python, "-m", "ruff", "check", "--fix", "--quiet", *(arguments or ["."]))
    return _call(python, "-m", "ruff", "format", *(arguments or ["."]))


def _soak(arguments: Sequence[str]) -> int:
    python = _environment("dev,fuzz")
    status = 0
    for tests, count in (("tests/pair/test_faults.py", 10_000), ("tests/security/test_counters.py", 2_000)):
        os.environ["COSEMIC_SOAK"] = str(count)
        status |= _call(python, "-m", "pytest", tests, "--timeout=7200", *arguments)
    os.environ["COSEMIC_SOAK"] = "1"
    killed = ("tests/delivery", "-k", "killed or cut_at_any")
    status |= _call(python, "-m", "pytest", *killed, "--timeout=1800", *arguments)
    status |= _call(python, "bench/listening.py", "--seconds", "600")
    return _call(python, "fuzz/run.py", "--seconds", "1800") or status


def _bench(arguments: Sequence[str]) -> int:
    python = _environment("dev")
    _peers()
    if arguments and arguments[0] in ("pushes", "listening", "publishing"):
        return _call(python, f"bench/{arguments[0]}.py", *arguments[1:])
    return _call(python, "bench/run.py", *arguments)


def _environment(extras: str) -> Path:
    """The checkout's own environment with these extras; made or brought up to date when pyproject.toml changed."""
    python = _python_of(ENVIRONMENT)
    state = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    for extra in extras.split(","):
        stamp = ENVIRONMENT / f"cosemic-{extra}.stamp"
        if stamp.exists() and stamp.read_text() == state and python.exists():
            continue
        print(f"setting up {ENVIRONMENT.name} [{extra}] …", file=sys.stderr, flush=True)
        _make(ENVIRONMENT)
        _install(ENVIRONMENT, "-e", f"{ROOT}[{extra}]")
        stamp.write_text(state)
    return python


def _peers() -> None:
    """The environments of the foreign libraries; one that cannot be had is left out, and its tests say so."""
    for name, requirements in PEERS.items():
        folder = PEER_ENVIRONMENTS / name
        stamp = folder / "peer.stamp"
        state = " ".join(requirements) + sys.version
        if stamp.exists() and stamp.read_text() == state:
            continue
        print(f"setting up {PEER_ENVIRONMENTS.name}/{name} …", file=sys.stderr, flush=True)
        try:
            _make(folder)
            _install(folder, *requirements)
            stamp.write_text(state)
        except subprocess.CalledProcessError:
            if os.environ.get("CI"):
                raise
            print(f"{name} cannot be installed here; the tests against it are skipped", file=sys.stderr)


def _make(folder: Path) -> None:
    if _python_of(folder).exists():
        return
    try:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError:
        # Debian without python3-venv has no ensurepip; a pip that is there serves any environment (see _install)
        venv.create(folder, with_pip=False, symlinks=os.name != "nt", clear=True)


def _install(folder: Path, *requirements: str) -> None:
    python = _python_of(folder)
    own_pip = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    pip = [str(python), "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--disable-pip-version-check", *requirements], check=True, cwd=ROOT)


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _module_sizes() -> int:
    status = 0
    for module in sorted((ROOT / "src").rglob("*.py")):
        lines = len(module.read_text(encoding="utf-8").splitlines())
        if lines > MODULE_LINES:
            status = _complain(f"{module.relative_to(ROOT)} has {lines} lines; {MODULE_LINES} is the ceiling: split it")
    return status


def _call(program: Path, *arguments: str) -> int:
    return subprocess.run([str(program), *arguments], cwd=ROOT, check=False).returncode


def _complain(text: str) -> int:
    print(f"dev.py: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
