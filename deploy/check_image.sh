#!/usr/bin/env bash
# Builds the image of deploy/Dockerfile without Docker, and runs a sync in it: as its own user, with a
# read-only root file system. Its base is made of Debian's packages in place of the public image.
# Needs root, and Debian's packages buildah and mmdebstrap. Takes five to ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

for program in buildah mmdebstrap; do
  command -v "$program" >/dev/null || {
    echo "$program is not installed. Install it: apt-get install --no-install-recommends $program" >&2
    exit 2
  }
done
[ "$(id -u)" = 0 ] || { echo "The image is built in a chroot. Run this as root." >&2; exit 2; }

work=$(mktemp -d)
image_tool() { buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs "$@"; }
clean() {
  image_tool umount --all >/dev/null || true
  rm -rf "$work"
}
trap clean EXIT

mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io \
  --include=python3,python3-venv,ca-certificates bookworm "$work/base.tar"
base=$(image_tool from --isolation chroot scratch)
image_tool add --quiet "$base" "$work/base.tar" / >/dev/null
image_tool commit --quiet --rm "$base" localhost/base >/dev/null

# This machine's certificate authorities, which may be those of a company's proxy.
image_tool bud --isolation chroot --volume /etc/ssl/certs:/etc/ssl/certs:ro \
  --build-arg BASE=localhost/base --file deploy/Dockerfile --tag localhost/m3sync .

root=$(image_tool mount "$(image_tool from --isolation chroot localhost/m3sync)")
echo "The image has $(du -sm "$root" | cut -f1) MB, of them $(du -sm "$root/opt" | cut -f1) in /opt."

# The user and the environment are those of the image's own configuration.
read_config() { image_tool inspect --type image --format "$1" localhost/m3sync; }
user=$(read_config '{{.OCIv1.Config.User}}')
environment=$(read_config '{{range .OCIv1.Config.Env}}{{println .}}{{end}}')

# In a mount namespace of its own: nothing stays mounted.
unshare --mount --pid --fork bash -euc '
  root=$1 user=$2
  mapfile -t environment <<<"$3"
  mount --bind "$root" "$root"
  mount -o remount,ro,bind "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/tmp"
  mount --rbind /dev "$root/dev"
  exec chroot --userspec="$user" "$root" env -i "${environment[@]}" sh -euc "
    if touch /opt/m3sync/written 2>/dev/null; then
      echo The root file system is not read-only. >&2
      exit 1
    fi
    cd /tmp
    m3sync demo --once
  "
' bash "$root" "$user" "$environment"
