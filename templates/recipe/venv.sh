# Make the empty Python environment.  usage: venv.sh INTERPRETER PREFIX
set -eu
. /dev/envbuild/recipe/clamp.sh
"$1" -I -B -m venv --without-pip "$2"
clamp
