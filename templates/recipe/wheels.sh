# Install the wheels in /dev/envbuild/wheels.  usage: wheels.sh PREFIX
set -eu
. /dev/envbuild/recipe/clamp.sh
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
for installer in /dev/envbuild/tools/installer-*.whl; do
    PYTHONPATH=$installer "$1/bin/python" /dev/envbuild/recipe/install.py --prefix "$1" --wheels /dev/envbuild/wheels
done
# the times of what it wrote are set by the script itself: there is a step for each large wheel, and looking
# through all files in every one would take longer than installing does
clamp -maxdepth 2
