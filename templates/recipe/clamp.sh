# Sourced first by every step, which calls clamp last: nothing it wrote carries the time of the build.
#
# Runs inside the container, where the clock is the machine's.  What this step writes, and what the engine wrote
# to start it, is newer than a minute ago; files unpacked from packages have their own, older times and keep
# them, whatever the epoch: bytecode that records its source's time stays true.
started=$(($(date +%s) - 60))

# usage: clamp [-maxdepth N]
clamp() {
    # what the engine mounts is no part of the layer, and cannot be touched
    find / -xdev "$@" \( -path /proc -o -path /sys -o -path /dev \
        -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf \) -prune \
        -o -newermt "@$started" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# What differs between two runs of dpkg is emptied, not deleted: a deletion would be an entry of its own in the
# layer when the file lies in the base.
empty_volatile() {
    for file in /var/log/*.log /var/log/*/*.log /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
        /var/lib/dpkg/*-old /etc/machine-id /var/lib/dbus/machine-id; do
        if [ -f "$file" ] && [ -s "$file" ]; then : >"$file"; fi
    done
}
