# Make a root file system out of the packages in /dev/envbuild/debs.  usage: bootstrap.sh EPOCH
#
# The epoch is the base's own, not the environment's: a base is the same whatever is laid on it.
#
# The seed has the files of the essential packages but no database: dpkg unpacks every package over it, then
# configures them all in dependency order.  Unpacking cannot yet ask for order, hence --force-depends there;
# configuring does, and --audit has the last word.
set -eu
. /dev/envbuild/recipe/clamp.sh
export SOURCE_DATE_EPOCH="$1"
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8

mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates
: >/var/lib/dpkg/status
: >/var/lib/dpkg/available
if ! dpkg --force-depends --force-unsafe-io --unpack /dev/envbuild/debs/*.deb >/tmp/unpack.log 2>&1; then
    tail -n 30 /tmp/unpack.log >&2
    exit 1
fi
rm /tmp/unpack.log
dpkg --force-unsafe-io --configure -a
problems=$(dpkg --audit)
if [ -n "$problems" ]; then
    printf '%s\n' "$problems" >&2
    exit 1
fi

# This stage is copied flat, so what differs between two runs can go altogether.
rm -rf /var/log/*.log /var/log/apt/* /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
    /var/lib/dpkg/*-old /var/cache/apt/*.bin /etc/passwd- /etc/group- /etc/shadow- \
    /etc/gshadow- /etc/.pwd.lock
: >/etc/machine-id
clamp
