# Add the user and the working directory, and lay down the lock and the probe.
# usage: finish.sh NAME UID GID WORKDIR
#
# The account files are written here rather than by useradd: slim bases may lack it, and it would record today.
set -eu
. /dev/envbuild/recipe/clamp.sh
name=$1 uid=$2 gid=$3 workdir=$4

if ! grep -q "^$name:" /etc/passwd; then
    grep -q "^[^:]*:[^:]*:$gid:" /etc/group || printf '%s:x:%s:\n' "$name" "$gid" >>/etc/group
    printf '%s:x:%s:%s::/home/%s:/bin/sh\n' "$name" "$uid" "$gid" "$name" >>/etc/passwd
    if [ -f /etc/shadow ]; then printf '%s:!:::::::\n' "$name" >>/etc/shadow; fi
    mkdir -p "/home/$name"
    chown "$uid:$gid" "/home/$name"
    chmod 0755 "/home/$name"
fi
# What programs keep for next time goes to ~/.cache.  It is there so that a volume mounted over it, as dev
# containers do, takes over its owner: the engine gives one over a missing folder to root.
home=$(sed -n "s/^$name:[^:]*:[^:]*:[^:]*:[^:]*:\([^:]*\):.*/\1/p" /etc/passwd)
if [ -d "$home" ] && ! [ -e "$home/.cache" ]; then
    mkdir "$home/.cache"
    chown "$uid:$gid" "$home/.cache"
    chmod 0755 "$home/.cache"
fi
if ! [ -d "$workdir" ]; then
    mkdir -p "$workdir"
    chown "$uid:$gid" "$workdir"
    chmod 0755 "$workdir"
fi
mkdir -p /etc/envbuild
cp /dev/envbuild/self/lock.json /dev/envbuild/self/probe.pyz /etc/envbuild/
chmod 0755 /etc/envbuild
chmod 0644 /etc/envbuild/lock.json /etc/envbuild/probe.pyz
clamp
