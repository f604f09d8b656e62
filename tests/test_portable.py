"""Nothing that only one system has is used without its other half."""

import ast
from pathlib import Path

from vaelib.support import paths

# Modules and attributes that Windows lacks, and the signals that it does not know.
MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}
ATTRIBUTES = {
    *("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "setsid", "mkfifo", "uname"),
    *("sched_getaffinity", "statvfs", "chown", "lchown", "getloadavg", "nice", "wait4"),
    *("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "alarm", "setitimer"),
}
# Where there is another half: what is used there, and what stands beside it.
GUARDED = {
    ("publishing/kernels.py", "AF_UNIX"): 'hasattr(socket, "AF_UNIX")',
    ("training/allocator.py", "CDLL"): "libc_ver",
}


def used(file: Path) -> set[str]:
    """The modules that a file imports and the attributes that it uses."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=imported):
                names |= {each.name for each in imported}
            case ast.ImportFrom(module=str(module), names=imported):
                names |= {module, *(each.name for each in imported)}
            case ast.Attribute(attr=attribute):
                names.add(attribute)
            case ast.Constant(value=str(text)) if text in ("fork", "forkserver"):
                names.add("fork")
    return names


def test_nothing_of_posix_alone_is_used() -> None:
    offenders = {
        str(file.relative_to(paths.PACKAGE)): found
        for file in paths.PACKAGE.rglob("*.py")
        if (found := used(file) & (MODULES | ATTRIBUTES))
    }
    assert not offenders


def test_what_some_systems_lack_has_its_other_half_beside_it() -> None:
    names = {name for _, name in GUARDED}
    for file in paths.PACKAGE.rglob("*.py"):
        place = file.relative_to(paths.PACKAGE).as_posix()
        for name in used(file) & names:
            assert GUARDED[place, name] in file.read_text(encoding="utf-8"), place
