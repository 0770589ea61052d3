# Copy one layer of conda packages from /dev/envbuild/layer.  usage: conda-layer.sh PREFIX
set -eu
. /dev/envbuild/recipe/clamp.sh
mkdir -p "$1"
cp -a "/dev/envbuild/layer$1/." "$1"
clamp
