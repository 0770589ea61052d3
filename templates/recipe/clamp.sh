# Sourced last by every step: nothing in a layer is newer than the lock.
#
# Runs inside the container, where the clock is the machine's: files written by this step carry today's time,
# files unpacked from packages their own.  Only the former are touched, so bytecode that records its source's
# time stays true.
clamp() {
    # what the engine mounts is no part of the layer, and cannot be touched
    find / -xdev \( -path /proc -o -path /sys -o -path /dev \
        -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf \) -prune \
        -o -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# What differs between two runs of dpkg is emptied, not deleted: a deletion would be an entry of its own in the
# layer when the file lies in the base.
empty_volatile() {
    for file in /var/log/*.log /var/log/*/*.log /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
        /var/lib/dpkg/*-old /etc/machine-id /var/lib/dbus/machine-id; do
        if [ -f "$file" ] && [ -s "$file" ]; then : >"$file"; fi
    done
}
