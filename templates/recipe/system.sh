# Install the packages in /dev/envbuild/debs with the base's own apt, which finds their order.
# usage: system.sh EPOCH    (the base's own, see bootstrap.sh)
#
# There are no package lists and no network: apt can take nothing but these files, and fails when one is
# missing.  Its state that carries time lives in memory.
set -eu
. /dev/envbuild/recipe/clamp.sh
export SOURCE_DATE_EPOCH="$1"
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8

state=/dev/shm/apt
mkdir -p $state/lists/partial $state/cache/archives/partial $state/log
apt-get install --yes --no-install-recommends --quiet \
    -o Dir::State::Lists=$state/lists -o Dir::Cache=$state/cache -o Dir::Log=$state/log \
    -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Sandbox::User=root -o Dpkg::Use-Pty=false -o DPkg::Options::=--force-unsafe-io \
    /dev/envbuild/debs/*.deb
rm -rf $state
empty_volatile
clamp
