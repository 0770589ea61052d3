# Lay the standalone Python of /dev/envbuild/python into /opt/python.
set -eu
. /dev/envbuild/recipe/clamp.sh
mkdir -p /opt
for archive in /dev/envbuild/python/*.tar.gz; do
    # o: whose files they are is not the archive's to say
    tar -xzof "$archive" -C /opt
done
clamp
