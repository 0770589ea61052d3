# Lay the conda packages in /dev/envbuild/conda down, in a stage that is thrown away, and sort their files into
# layers.  usage: conda.sh INTERPRETER PREFIX
set -eu
. /dev/envbuild/recipe/clamp.sh
export LC_ALL=C.UTF-8 HOME=/tmp/envbuild-home PYTHONDONTWRITEBYTECODE=1
umask 022
tools=/tmp/envbuild-tools
for wheel in /dev/envbuild/tools/py_rattler-*.whl; do
    "$1" -I -B -m zipfile -e "$wheel" $tools
done
"$1" -I -B /dev/envbuild/recipe/conda.py --tools $tools --prefix "$2" --packages /dev/envbuild/conda \
    --lock /dev/envbuild/self/lock.json --plan /dev/envbuild/recipe/conda.json --layers /layers
rm -rf $tools
