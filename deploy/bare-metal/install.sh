#!/bin/sh
# Installs Tongluo from an unpacked bundle, without a network. Needs Python >= 3.11 and, for the service, systemd and root.
# 离线安装：解开安装包，在其中运行本脚本。重复运行不会改动已有的配置与数据。
set -eu

prefix=/opt/tongluo etc=/etc/tongluo data=/var/lib/tongluo python='' stage_only=no units=auto
usage() {
  cat <<'TEXT'
usage: ./install.sh [options]
  --prefix DIR   releases go to DIR/releases/VERSION, DIR/current points at the one in use (/opt/tongluo)
  --etc DIR      settings (/etc/tongluo); what is there stays
  --data DIR     data folder (/var/lib/tongluo); what is there stays
  --python EXE   the Python to use (>= 3.11); default: the newest suitable one on PATH
  --stage-only   lay the release down, change nothing that is in use
  --no-units     no system user, no systemd units
TEXT
}
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=$2; shift ;;
    --etc) etc=$2; shift ;;
    --data) data=$2; shift ;;
    --python) python=$2; shift ;;
    --stage-only) stage_only=yes ;;
    --no-units) units=no ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
version=$(cat "$here/VERSION")
release=$prefix/releases/$version

suits() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  for candidate in ${python:-python3.13 python3.12 python3.11 python3}; do
    if suits "$candidate"; then command -v "$candidate"; return; fi
  done
  fail "需要 Python 3.11 或更新 / Python >= 3.11 is needed; name it with --python"
}

check_sums() {
  (cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) ||
    fail "安装包不完整或被改动 / the bundle is damaged or was changed: nothing was installed"
}

# The release is made under its final name, because scripts of an environment name their own interpreter, and bears the
# mark `complete` only when it is. pip runs out of its own wheel: the target needs no python3-venv, no pip.
lay_down() {
  if [ -e "$release/complete" ]; then say "$release: 已在 / is there already"; return; fi
  rm -rf "$release"
  mkdir -p "$prefix/releases"
  interpreter=$(find_python)
  "$interpreter" -m venv --without-pip "$release"
  set -- --quiet --no-compile --no-cache-dir --disable-pip-version-check --no-index --find-links "$here/wheels" --only-binary :all:
  pip=$(ls "$here"/wheels/pip-*.whl)
  "$release/bin/python" -I "$pip/pip" install "$@" --require-hashes -r "$here/requirements.lock" ||
    fail "缺少适用于本机的包 / the bundle lacks a wheel for $("$interpreter" -V) on $(uname -m)"
  "$release/bin/python" -I "$pip/pip" install "$@" --no-deps "$here"/wheels/tongluo-*.whl
  "$release/bin/python" -I -m compileall -q -j 0 "$release/lib" # the service cannot write here
  cp -r "$here/config" "$here/docs" "$here/sbom.cdx.json" "$here/upgrade.sh" "$here/backup.sh" "$release/"
  chmod -R go-w "$release"
  [ "$("$release/bin/tongluo" --version)" = "$version" ] || fail "$release does not answer with $version"
  touch "$release/complete"
  say "$release: 已安装 / installed"
}

has_systemd() { [ "$units" = auto ] && [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ]; }

place_config() {
  mkdir -p "$etc/secrets"
  chmod 0750 "$etc" "$etc/secrets"
  [ -e "$etc/tongluo.yaml" ] || install -m 0640 "$here/config/tongluo.yaml" "$etc/tongluo.yaml"
  for role in intake deliver watch web; do
    [ -e "$etc/$role.env" ] || install -m 0640 "$here/systemd/env/$role.env" "$etc/$role.env"
  done
}

place_units() {
  for unit in "$here"/systemd/*.service "$here"/systemd/*.timer; do
    sed "s#/opt/tongluo#$prefix#g; s#/etc/tongluo#$etc#g; s#/var/lib/tongluo#$data#g" "$unit" \
      >"/etc/systemd/system/$(basename "$unit")"
  done
  install -m 0644 "$here/systemd/tongluo.sysusers" /usr/lib/sysusers.d/tongluo.conf
  sed "s#/etc/tongluo#$etc#g; s#/var/lib/tongluo#$data#g" "$here/systemd/tongluo.tmpfiles" >/usr/lib/tmpfiles.d/tongluo.conf
  systemd-sysusers tongluo.conf
  systemd-tmpfiles --create tongluo.conf
  systemctl daemon-reload
}

switch() {
  ln -sfn "releases/$version" "$prefix/current.new"
  mv -T "$prefix/current.new" "$prefix/current"
}

check_sums
lay_down
[ "$stage_only" = no ] || exit 0
[ ! -e "$prefix/current" ] || [ "$(readlink "$prefix/current")" = "releases/$version" ] ||
  fail "$prefix/current 是另一个版本，请用 ./upgrade.sh / is another version: use ./upgrade.sh"
place_config
[ -d "$data" ] || { mkdir -p "$data" && chmod 0700 "$data"; }
switch
if has_systemd; then
  place_units
  say "下一步 / next: edit $etc/tongluo.yaml, then: systemctl enable --now tongluo tongluo-backup.timer"
else
  say "未安装 systemd 单元 / no units installed. By hand:"
  say "  $prefix/current/bin/tongluo run --config $etc/tongluo.yaml --data $data"
fi
