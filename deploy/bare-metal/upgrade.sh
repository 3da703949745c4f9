#!/bin/sh
# Brings a running Tongluo to the version of this unpacked bundle, and back again if it does not become ready.
# 升级：先备份，新版装在旧版旁边，再切换、逐个重启；新版未就绪就自动退回，数据不动。
# Roles need the units of deploy/systemd: copy and migration run as units, in their sandbox.
#
# One process (tongluo.service): stop, copy, switch, start; posters meet a closed port for some seconds and repeat, as they do on
# 503. Roles (tongluo@ROLE): migrate while the old ones work, then one role after the other, each ready before the next is
# touched. What was answered 202 is in the store and goes on: this script puts a copy in the place of a newer store only if the old
# version cannot read it and the newer one holds no further alert, and then keeps the newer one beside it.
set -eu

prefix=/opt/tongluo etc=/etc/tongluo data=/var/lib/tongluo backups=/var/backups/tongluo user=tongluo patience=60 python=''
back=no
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=$2; shift ;;
    --etc) etc=$2; shift ;;
    --data) data=$2; shift ;;
    --backups) backups=$2; shift ;;
    --user) user=$2; shift ;;
    --patience) patience=$2; shift ;;
    --python) python=$2; shift ;;
    --back) back=yes ;;
    *) echo "usage: ./upgrade.sh [--back] [--prefix DIR] [--etc DIR] [--data DIR] [--backups DIR] [--user NAME]" \
         "[--patience SECONDS] [--python EXE]" >&2; exit 2 ;;
  esac
  shift
done

say() { printf '%s\n' "$*"; }
fail() { printf 'upgrade: %s\n' "$*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
[ -L "$prefix/current" ] || fail "$prefix/current 不存在：请先用 ./install.sh / is not there: use ./install.sh"
old=$(readlink "$prefix/current")

as_owner() {
  if [ "$(id -u)" = 0 ] && [ "$user" != root ]; then runuser -u "$user" -- "$@"; else "$@"; fi
}

# The instances at work, in the order of their restart: intake is the last, so that nothing is taken in by a newer version than
# those that have to carry it. An instance is named by its file NAME.env, which says its ROLE.
running() {
  for role in deliver watch web intake; do
    for file in "$etc"/*.env; do
      name=$(basename "$file" .env)
      ! grep -qs "^ROLE=$role\$" "$file" || ! systemctl is-active --quiet "tongluo@$name" || say "tongluo@$name"
    done
  done
  ! systemctl is-active --quiet tongluo || say tongluo
}

# Where a unit answers: the port of its own .env file, else `http.port` as the release reads it.
port_of() {
  role=${1#tongluo@}
  if [ "$role" != "$1" ] && grep -q '^TONGLUO_HTTP__PORT=' "$etc/$role.env"; then
    sed -n 's/^TONGLUO_HTTP__PORT=//p' "$etc/$role.env"
  else
    "$prefix/current/bin/python" -I -c 'import sys; from pathlib import Path; from gateway.settings import read_settings
print(read_settings(Path(sys.argv[1])).http.port)' "$etc/tongluo.yaml"
  fi
}

# ready UNIT [SECONDS]: whether it says so itself within that time.
ready() {
  "$prefix/current/bin/python" -I - "$(port_of "$1")" "${2:-$patience}" <<'PYTHON'
import sys, time, urllib.error, urllib.request
end, url = time.monotonic() + float(sys.argv[2]), f"http://127.0.0.1:{sys.argv[1]}/readyz"
while time.monotonic() < end:
    try:
        if urllib.request.urlopen(url, timeout=5).status == 200:
            sys.exit(0)
    except OSError:
        time.sleep(0.5)
sys.exit(1)
PYTHON
}

switch_to() {
  ln -sfn "$1" "$prefix/current.new"
  mv -T "$prefix/current.new" "$prefix/current"
}

copy_store() { as_owner "$prefix/current/bin/tongluo" backup "$1" --config "$etc/tongluo.yaml" --data "$data"; }

# How many alerts a store holds. A version that says it is not ready may have answered 202 all the same.
alerts_in() {
  "$prefix/current/bin/python" -I -c 'import sqlite3, sys
print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("select count(*) from alert").fetchone()[0])' "$1"
}

# The store as it was before the new version migrated it; the newer one is set aside, not removed.
put_store_back() {
  aside=$data/failed-$(date -u +%Y%m%dT%H%M%SZ)
  as_owner mkdir "$aside"
  for file in tongluo.db tongluo.db-wal tongluo.db-shm; do
    [ ! -e "$data/$file" ] || as_owner mv "$data/$file" "$aside/"
  done
  as_owner cp "$1" "$data/tongluo.db"
  say "新版的数据库 / the store of the new version: $aside"
}

upgrade_whole() {
  copy=$backups/before-$version-$(date -u +%Y%m%dT%H%M%SZ).db
  as_owner mkdir -p "$backups"
  systemctl stop tongluo
  copy_store "$copy" || { systemctl start tongluo; fail "备份失败，未改动 / no copy, nothing was changed"; }
  switch_to "releases/$version"
  if systemctl start tongluo && ready tongluo; then return; fi
  systemctl stop tongluo || true
  switch_to "$old"
  # First as it is. Only if the old version cannot read it, and nothing was taken since the copy, the copy takes its place.
  if systemctl start tongluo && ready tongluo "$patience"; then fail "新版未就绪，已退回 / did not become ready; back at $old"; fi
  systemctl stop tongluo || true
  [ "$(alerts_in "$data/tongluo.db")" = "$(alerts_in "$copy")" ] ||
    fail "新版未就绪但已接收预警，需人工处理 / not ready, but it took alerts: docs/deploying.md, Going back. The copy: $copy"
  put_store_back "$copy"
  systemctl start tongluo
  ready tongluo 60 || fail "新旧版本都未就绪 / neither version is ready; see: journalctl -u tongluo"
  fail "新版未就绪，已退回 / did not become ready; back at $old, with the store as it was"
}

upgrade_roles() {
  systemctl start tongluo-backup || fail "备份失败，未改动 / no copy, nothing was changed"
  ln -sfn "releases/$version" "$prefix/next"
  systemctl start tongluo-migrate ||
    fail "迁移失败，旧版继续工作 / the store could not be migrated; the old version works on"
  switch_to "releases/$version"
  for unit in $1; do
    say "$unit ..."
    if systemctl restart "$unit" && ready "$unit"; then continue; fi
    switch_to "$old"
    for done_unit in $1; do systemctl restart "$done_unit"; done
    fail "$unit 未就绪，已退回 / did not become ready; back at $old"
  done
}

go_back() {
  before=$(cat "$prefix/previous" 2>/dev/null) || fail "没有上一版 / there is no version before this one"
  [ -e "$prefix/$before/complete" ] || fail "$prefix/$before 不完整 / is not complete"
  switch_to "$before"
  for unit in $(running); do
    systemctl restart "$unit"
    ready "$unit" 60 || fail "$unit 未就绪 / is not ready. If it says the store is newer: docs/deploying.md, Going back"
  done
  say "已退回 / back at $before"
}

if [ "$back" = yes ]; then go_back; exit 0; fi

version=$(cat "$here/VERSION")
[ "$old" != "releases/$version" ] || { say "已是 $version / is $version already"; exit 0; }
"$here/install.sh" --stage-only --prefix "$prefix" ${python:+--python "$python"}
"$prefix/releases/$version/bin/tongluo" channels --config "$etc/tongluo.yaml" >/dev/null ||
  fail "新版不接受现有配置 / the new version does not take these settings; nothing was changed"
units=$(running)
case $units in
  '') switch_to "releases/$version"; say "服务未运行 / the service does not run" ;;
  tongluo) upgrade_whole ;;
  *) upgrade_roles "$units" ;;
esac
say "$old" >"$prefix/previous"
say "已升级 / upgraded: $old -> releases/$version"
