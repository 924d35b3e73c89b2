#!/usr/bin/env bash
# Builds the image as the Dockerfile says and runs it for real: `make image-check`.
#
# Needs neither a Docker daemon nor a registry: buildah builds on a base that is made here from
# Debian's packages, podman runs it. As root on Debian, because of their namespaces and mounts; it
# installs buildah, mmdebstrap, podman and runc where they are missing. Where it can't run it says
# why and succeeds; what it finds wrong with the image fails.
#
#   IMAGE_BASE=FILE     the base is kept there, and taken from there the next time (saves a minute)
#   IMAGE_SECONDS=220   how long packages, base and build together may take
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD python=$PWD/.venv/bin/python
work=$(mktemp -d /tmp/image-check.XXXXXX)
chmod 711 "$work" # the embedded PostgreSQL doesn't run as root
base=${IMAGE_BASE:-$work/base.tar}
limit=${IMAGE_SECONDS:-220}
image=localhost/amazonsender:check
marker=image-check-secret # in every file that must not get into the image

step() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
skip() { echo "image-check: skipped: $*"; exit 0; }
fail() { echo "image-check: $*" >&2; exit 1; }
prepare() { # a command, …: part of the preparation, whose failure isn't the image's
    local left=$((limit - SECONDS)) code=0
    [ "$left" -gt 0 ] && timeout "$left" "$@" >"$work/log" 2>&1 || code=$?
    [ "$left" -gt 0 ] && [ "$code" != 124 ] || skip "its preparation takes longer than $limit s (IMAGE_SECONDS: how long it may take)"
    return "$code"
}
judge() { # what couldn't be done: for want of a network, or by a fault of ours
    local offline='Could not (resolve|connect)|name resolution|Failed to fetch|NewConnectionError'
    offline="$offline|ConnectTimeout|Read timed out|ProxyError"
    ! grep -qE "$offline" "$work/log" || skip "$(grep -E "$offline" "$work/log" | tail -1)"
    tail -30 "$work/log" >&2
    fail "$1"
}
cleanup() {
    local code=$?
    podman rm -fa -t 1 >/dev/null 2>&1 || true
    kill "${helpers[@]}" 2>/dev/null || true
    wait
    buildah rm -a >/dev/null 2>&1 || true
    buildah rmi -af >/dev/null 2>&1 || true
    rm -rf "$work"
    exit "$code"
}
helpers=()
trap cleanup EXIT
trap 'echo "image-check: line $LINENO failed" >&2' ERR

# -- what it takes ----------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || skip "it needs root"
command -v apt-get >/dev/null || skip "it needs Debian's packages"
[ -x "$python" ] || fail "run it as \`make image-check\`"
unshare --mount --pid --fork true 2>/dev/null || skip "this machine lets nobody make namespaces"
mkdir -p "$work"/{tmp,lower,upper,over,merged}
unshare --mount sh -c "mount -t overlay overlay \
    -o lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/over $work/merged" 2>/dev/null ||
    skip "this machine lets nobody mount an overlay"
if ! command -v buildah mmdebstrap podman runc >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    prepare apt-get -o DPkg::Lock::Timeout=60 install -y -qq --no-install-recommends \
        buildah mmdebstrap podman runc || skip "$(tail -1 "$work/log")"
fi
step packages

# Everything of buildah's and podman's own lies in `work`, and is gone with it.
export TMPDIR=$work/tmp
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n' \
    "$work" "$work" >"$work/storage.conf"
cat >"$work/containers.conf" <<C
[containers]
default_ulimits = []
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "$work/libpod"
C

if [ ! -s "$base" ]; then
    # The same parts as in python:3.13-slim: Debian 13 with Python 3.13 and pip.
    pip_from_its_wheel='cd "$1" && pip=$(echo usr/share/python-wheels/pip-*.whl) &&
        chroot . python3 "/$pip/pip" install -q --no-cache-dir --no-index \
            --find-links /usr/share/python-wheels --root-user-action ignore pip'
    prepare env -u PIP_FIND_LINKS mmdebstrap --quiet --format=tar --mode=root --variant=minbase \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
        --include=ca-certificates,python3,python3-venv,python-is-python3,netbase,tzdata \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -f "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED' \
        --customize-hook="$pip_from_its_wheel" \
        trixie "$base.new" || judge "no base can be made"
    mv "$base.new" "$base"
fi
container=$(buildah from scratch)
buildah add -q "$container" "$base" / >/dev/null
buildah config --cmd python3 --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$container"
buildah commit -q --rm "$container" localhost/python-base >/dev/null
step "base: $(du -m "$base" | cut -f1) MB"

# -- what gets in -----------------------------------------------------------------------------

# A checkout in use: beside the program lie secrets, at every place where they might.
source=$work/source
mkdir "$source"
tar c --exclude=./.git --exclude=./.venv --exclude=./.data --exclude='*/.*_cache' . | tar x -C "$source"
for secret in .env app/.env app/api/.env app/api/.env.local app/.data/x.py app/keys/server.pem \
    app/people.csv app/dump.sql migrations/.env migrations/functions/.env migrations/dump.csv \
    .data/postgres.password .venv/x.py tests/.env docker/.env; do
    mkdir -p "$(dirname "$source/$secret")"
    echo "$marker" >"$source/$secret"
done
printf 'FROM scratch\nCOPY . /\n' >"$work/Context"
buildah bud -q --isolation chroot -f "$work/Context" -t localhost/context "$source" >/dev/null
context=$(buildah mount "$(buildah from localhost/context)")
found=$(grep -rlF "$marker" "$context" || true)
[ -z "$found" ] || fail "the build sees $found"
step "no secret in what the build sees: $(find "$context" -type f | wc -l) files"

prepare buildah bud --format docker --isolation chroot --network host \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro --build-arg PYTHON_IMAGE=localhost/python-base \
    -t "$image" "$source" || judge "the image can't be built"
step "built: $(podman images --format '{{.Size}}' "$image")"

flags=(--ulimit host --network host --read-only --tmpfs /tmp --cap-drop ALL
    --security-opt no-new-privileges)
tool() { # a command in a container of its own
    podman run --rm --no-healthcheck "${flags[@]}" --env-file "$work/env" -v "$work/data:/data:ro" \
        "$image" amazonsender "$@" 2>"$work/err" || { cat "$work/err" >&2; return 1; }
}
refusal() { # words, podman's options, …: the program ends with one line that has these words
    local words=$1; shift
    podman run --rm --no-healthcheck "${flags[@]}" "$@" "$image" amazonsender migrate \
        >"$work/said" 2>&1 && fail "it doesn't refuse: $words"
    grep -q "^amazonsender: .*$words" "$work/said" && [ "$(wc -l <"$work/said")" = 1 ] ||
        { cat "$work/said" >&2; fail "it doesn't say in a line: $words"; }
}
ends() { # container, exit code: SIGTERM ends it, as process 1, within ten seconds
    local before=$SECONDS code
    podman stop -t 30 "$1" >/dev/null 2>&1
    code=$(podman inspect -f '{{.State.ExitCode}}' "$1")
    [ "$code" = "$2" ] && [ $((SECONDS - before)) -le 10 ] ||
        { podman logs "$1" 2>&1 | tail -5; fail "$1 ended after $((SECONDS - before)) s with $code"; }
    step "$1 ends in time"
}

# -- what it says when it can't run -----------------------------------------------------------

mkdir "$work/data" "$work/closed" "$work/folder" "$work/folder/.env"
touch "$work/closed/.env"
chmod 600 "$work/closed/.env"
refusal 'set DATABASE_URL or SUPABASE_URL'
refusal "can't be read (Permission denied)" -v "$work/closed:/data:ro"
refusal 'is not a file' -v "$work/folder:/data:ro"
refusal 'DATABASE_URL' --env DATABASE_URL='postgresql://user:p@ss/w@host/db'
step 'says plainly what is missing'

# -- the whole way: a mailout to 200 readers --------------------------------------------------

"$python" - "$work/postgres" >"$work/dsn" <<'P' &
import signal, sys, time
from pathlib import Path
from app.adapters.database.embedded import EmbeddedPostgres
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = EmbeddedPostgres(Path(sys.argv[1]))
with server:
    print(server.dsn(), flush=True)
    time.sleep(3600)
P
helpers+=($!)
for _ in $(seq 120); do [ -s "$work/dsn" ] && break; sleep 0.5; done
port=58000 sandbox=58025
secret=$("$python" -c 'import secrets; print(secrets.token_urlsafe(32))')
cat >"$work/env" <<C
EXECUTOR_SHARED_SECRET=$secret
UNSUBSCRIBE_SECRET=$("$python" -c 'import secrets; print(secrets.token_urlsafe(32))')
APP_BASE_URL=http://localhost:$port
DATABASE_URL=$(cat "$work/dsn")
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=sandbox
AWS_SECRET_ACCESS_KEY=sandbox
AWS_ENDPOINT_URL_SESV2=http://127.0.0.1:$sandbox
AWS_ENDPOINT_URL_SNS=http://127.0.0.1:$sandbox
SES_CONFIGURATION_SET=sandbox
SNS_ALLOWED_TOPIC_ARNS=arn:aws:sns:us-east-1:123456789012:amazonsender
SES_FROM_EMAIL=news@example.com
ORG_NAME=Example
ORG_ADDRESS=1 Example Street
HOST=127.0.0.1
PORT=$port
C
tool migrate
podman run -d --name sandbox --no-healthcheck "${flags[@]}" "$image" amazonsender sandbox \
    --port $sandbox --rate 500 --events "http://127.0.0.1:$port/ses-events" >/dev/null
podman run -d --name service "${flags[@]}" --env-file "$work/env" "$image" >/dev/null 2>"$work/err" ||
    { cat "$work/err" >&2; exit 1; }
for _ in $(seq 60); do podman healthcheck run service >/dev/null 2>&1 && break; sleep 0.5; done
podman healthcheck run service >/dev/null
healthy() { curl -sS -m 10 "http://127.0.0.1:$port/health" | grep -q '^{"status":"ok","version"'; }
for _ in $(seq 60); do healthy && break; sleep 0.5; done
healthy
step healthy
{ echo email; seq -f 'reader%g@example.com' 200; } >"$work/data/list.csv"
echo '# Hello' >"$work/data/mail.md"
tool subscribers import list.csv
id=$(tool mailouts create mail.md --subject Hello)
tool mailouts ready "$id"
curl -sSf -m 20 -o /dev/null -X POST "http://127.0.0.1:$port/send-mailout" \
    -H "Authorization: Bearer $secret" -H 'Content-Type: application/json' \
    -d "{\"mailout_id\":\"$id\"}"
delivered() { [ "$(tool statement "$id" | grep -c ',delivered,')" = 200 ]; }
for _ in $(seq 30); do delivered && break; sleep 1; done
delivered
step '200 delivered'

# -- whom it runs as, and what it may ---------------------------------------------------------

[ "$(podman exec service id -u)" = 10001 ]
for place in /data /opt/amazonsender /; do
    podman exec service touch "$place/x" 2>/dev/null && fail "$place is writable"
done
files=$(podman mount service)
odd=$(find "$files/opt" -xdev ! -type l \( -perm -o+w -o -perm /6000 -o ! -uid 0 \) -print -quit)
[ -z "$odd" ] || fail "others may write, or it has rights of its own: $odd"
odd=$(find "$files" -xdev \( -name '.env*' -o -path '*/opt/*/hatchling*' -o -path '*/opt/*/pip' \) \
    -print -quit)
[ -z "$odd" ] || fail "doesn't belong into the image: $odd"
found=$(grep -rlF "$marker" "$files/opt" "$files/data" "$files/root" || true)
[ -z "$found" ] || fail "a secret is in the image: $found"
step 'no secrets, nothing writable, no root'

# -- how it ends ------------------------------------------------------------------------------

ends service 0
ends sandbox 0
# A server that takes connections and says nothing, and a name server that says nothing either.
"$python" - >"$work/mute" <<'P' &
import socket, time
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.66.0.53", 53))
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(3600)
P
helpers+=($!)
for _ in $(seq 20); do [ -s "$work/mute" ] && break; sleep 0.5; done
printf 'nameserver 127.66.0.53\noptions timeout:30 attempts:3\n' >"$work/resolv.conf"
podman run -d --name migrate --no-healthcheck "${flags[@]}" \
    --env DATABASE_URL="postgresql://user:pw@127.0.0.1:$(cat "$work/mute")/x" \
    "$image" amazonsender migrate >/dev/null
podman run -d --name lookup --no-healthcheck "${flags[@]}" \
    -v "$work/resolv.conf:/etc/resolv.conf:ro" "$image" amazonsender sandbox \
    --port $sandbox --events http://service.example.com:8000/ses-events >/dev/null
for _ in $(seq 60); do podman logs lookup 2>&1 | grep -q ready && break; sleep 0.5; done
sleep 2 # by now the first look-up is under way
ends lookup 0
ends migrate 143
step done
