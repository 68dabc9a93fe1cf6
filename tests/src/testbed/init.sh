# PID 1 of a host of the test bed: init.sh NAME DISK PLACE WORKSPACE. Runs in new mount, pid, uts, ipc and net
# namespaces. Its root is the machine's own with a layer above that lies on the host's disk (ext4), so that nothing a
# host writes reaches the machine, all of it outlives a restart, and none of the machine's other mounts are there.
set -euo pipefail
name=$1 disk=$2 place=$3 workspace=$4

hostname "$name"
mount --make-rprivate /
mount -o loop,noatime "$disk" "$place"
mkdir -p "$place"/{upper,work,root,docker}
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
cd "$place/root"

mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p ".$workspace" pool var/lib/docker run/docker/plugins run/lock old
mount --bind "$workspace" ".$workspace"
mount --bind "$place/docker" var/lib/docker
if [[ ! -e etc/host-of-the-test-bed ]]; then
  rm -rf etc/docker var/lib/openmanage
  mkdir -p etc/docker
  printf '127.0.0.1 localhost %s\n' "$name" >etc/hosts
  printf '%s\n' "$name" >etc/hostname
  # A server that says no at once: Docker asks for a registry's address before it runs an image that it has.
  printf 'nameserver 127.0.0.1\n' >etc/resolv.conf
  : >etc/host-of-the-test-bed
fi

pivot_root . old
cd /
umount -l /old
: >/run/ready
# Children of the dead become ours; bash reaps them while it waits.
while :; do
  sleep 86400 &
  wait $! || true
done
