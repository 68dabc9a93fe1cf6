# shellcheck shell=bash
# Installs and starts what OpenManage needs on Debian 12. Sourced by ./quickstart, ./test and ./bench; does nothing by
# itself. Every function returns at once when its work is done already.

# Names set here are read by the scripts that source this file.
# shellcheck disable=SC2034

# What running OpenManage needs: the container engine, file systems and addresses, the image's base, a client.
RUN_PACKAGES=(ca-certificates curl docker.io e2fsprogs iproute2 iptables jq mmdebstrap postgresql-client util-linux)
# What building it needs.
BUILD_PACKAGES=(gcc libc6-dev make pkg-config protobuf-compiler)
# What its tests need beside: a peer for the control database's suite, a DNS client, git for tidy, file systems,
# network block devices and settings for the test bed of several hosts.
TEST_PACKAGES=(bind9-dnsutils etcd-server git procps qemu-system-common qemu-utils xfsprogs)
# What its benchmarks need beside: the servers it is measured against and their load generator.
BENCH_PACKAGES=(dnsperf etcd-server hyperfine knot)

RUST_MIN=1.95

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
  printf '\nerror: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

need_root() {
  [[ $(id -u) == 0 ]] || die "this needs root: it installs packages, mounts volumes and makes a network" "sudo $0"
}

# Installs those of the packages named that are missing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    note "packages: all installed"
    return
  fi
  note "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A machine that never asked its mirror has no lists at all; one with old lists fails once.
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt-get update -q
  local apt=(apt-get install -y -q --no-install-recommends "${missing[@]}")
  "${apt[@]}" >"$INSTALL_LOG" 2>&1 || { apt-get update -q && "${apt[@]}" >"$INSTALL_LOG" 2>&1; } || {
    tail -n 20 "$INSTALL_LOG" >&2
    die "apt-get could not install ${missing[*]}" "the whole output is in $INSTALL_LOG"
  }
  for package in "${missing[@]}"; do
    case $package in
      etcd-server) stop_service etcd ;;
      knot) stop_service knot ;;
    esac
  done
}

# Stops a service that its package started just now, and on a port of ours; tests and benchmarks start their own.
stop_service() {
  if [[ -d /run/systemd/system ]]; then
    systemctl disable --now --quiet "$1"
  elif [[ -x /etc/init.d/$1 ]]; then
    "/etc/init.d/$1" stop >/dev/null 2>&1 || true
  fi
}

# Checks for cargo of at least RUST_MIN.
need_cargo() {
  # shellcheck disable=SC1091
  [[ -f $HOME/.cargo/env ]] && . "$HOME/.cargo/env"
  local have
  have=$(rustc --version 2>/dev/null | cut -d' ' -f2) || true
  if [[ -n $have && $(printf '%s\n' "$RUST_MIN" "$have" | sort -V | head -n 1) == "$RUST_MIN" ]]; then
    note "rustc $have"
    return
  fi
  die "Rust $RUST_MIN or later is needed to build; found: ${have:-none}" \
    "Debian 12's own rustc is older. Install a current one with rustup:" \
    "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal" \
    "or, without network, unpack the standalone installer from https://forge.rust-lang.org and run its install.sh." \
    "Then run this again."
}

# Starts Docker if it does not answer. Sets DOCKERD_PID if it was started here, outside systemd. $1: its log.
start_docker() {
  DOCKERD_PID=
  if docker version >/dev/null 2>&1; then
    note "Docker $(docker version -f '{{.Server.Version}}') answers"
    return
  fi
  if [[ -d /run/systemd/system ]]; then
    note "starting Docker by systemd"
    systemctl start docker
  else
    note "starting dockerd (no systemd here); its log: $1"
    mkdir -p "$(dirname "$1")"
    forget_dead /var/run/docker.pid dockerd
    forget_dead /run/docker/containerd/containerd.pid containerd
    setsid dockerd >>"$1" 2>&1 </dev/null &
    DOCKERD_PID=$!
  fi
  wait_for 60 "Docker" docker version || {
    [[ -f $1 ]] && tail -n 20 "$1" >&2
    die "Docker does not answer after 60 s" "see ${1} or journalctl -u docker"
  }
}

# forget_dead FILE NAME: removes a process file whose process has died without removing it. Its number may be another's by
# now, and the daemon would refuse to start.
forget_dead() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$2" ]] || rm -f "$1"
}

# wait_for SECONDS WHAT COMMAND…: runs COMMAND until it succeeds.
wait_for() {
  local seconds=$1 what=$2 until=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || { note "$what: not there after $seconds s"; return 1; }
    sleep 0.2
  done
}

# The directory cargo builds into.
target_dir() { echo "${CARGO_TARGET_DIR:-target}"; }

# assemble PROFILE FOLDER: builds the programs and puts them into FOLDER, side by side, as they are to be installed:
# openmanage, its other name openmanage-service-cli, and openmanage-member. The last is static, since it runs as PID 1 in
# images of others.
assemble() {
  local target host folder=$1
  target=$(target_dir)
  host=$(rustc -vV | sed -n 's/^host: //p')
  [[ $1 == dev ]] && folder=debug
  RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --quiet --locked --profile member --target "$host" -p openmanage-member
  cargo build --quiet --locked --profile "$1" -p openmanage
  mkdir -p "$2"
  place "$target/$host/member/openmanage-member" "$2"
  place "$target/$folder/openmanage" "$2"
  ln -sf openmanage "$2/openmanage-service-cli"
}

# place FILE FOLDER: puts the file there if it is not; a program that runs keeps its own.
place() {
  cmp -s "$1" "$2/$(basename "$1")" || install "$1" "$2"
  note "$2/$(basename "$1") ($(du -h "$1" | cut -f1))"
}

INSTALL_LOG=${INSTALL_LOG:-/var/log/openmanage-install.log}
