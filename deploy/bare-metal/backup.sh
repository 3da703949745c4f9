#!/bin/sh
# A copy of all that cannot be made again: the store, what the channels remember, the settings. Called by tongluo-backup.service
# and by upgrade.sh; prints the folder it made. 备份：数据库、渠道状态、配置，各带校验和。
set -eu

prefix=/opt/tongluo etc=/etc/tongluo data=/var/lib/tongluo into=/var/backups/tongluo keep=14
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=$2 ;;
    --etc) etc=$2 ;;
    --data) data=$2 ;;
    --into) into=$2 ;;
    --keep) keep=$2 ;;
    *) echo "usage: backup.sh [--prefix DIR] [--etc DIR] [--data DIR] [--into DIR] [--keep N]" >&2; exit 2 ;;
  esac
  shift 2
done

umask 077
mkdir -p "$into"
target=$into/$(date -u +%Y%m%dT%H%M%SZ)
partial=$target.partial
mkdir "$partial"
trap 'rm -rf "$partial"' EXIT

"$prefix/current/bin/tongluo" backup "$partial/store" --config "$etc/tongluo.yaml" --data "$data" >&2
if [ -d "$data/channels" ]; then tar -C "$data" -cf "$partial/channels.tar" channels; fi
tar -C "$etc" --exclude=./secrets -cf "$partial/etc.tar" .
readlink "$prefix/current" >"$partial/release"
(cd "$partial" && sha256sum -- * >"$into/.sums" && mv "$into/.sums" SHA256SUMS)
sync "$partial" "$partial"/*
mv "$partial" "$target"
trap - EXIT

# Only whole copies are counted, and only copies of ours are ever removed.
find "$into" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*T[0-9]*Z' | sort -r | tail -n +"$((keep + 1))" |
  while IFS= read -r old; do rm -rf "$old"; done
echo "$target"
