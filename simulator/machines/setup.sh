# Runs in fresh namespaces, in the machine's folder: builds the root file system and turns into the machine's PID 1.
# Arguments: host name; overlay options; then the host's folders to lay the image over, each as NAME:LOWER.
# It says "ready" on stdout when the root stands and reads from stdin when to go on (the network is up by then).
set -e
name=$1 options=$2
shift 2
hostname "$name" 2>/dev/null || echo "$name" > /proc/sys/kernel/hostname
mount --bind root root
for entry in "$@"; do
    folder=${entry%%:*}
    mount -t overlay overlay -o "lowerdir=${entry#*:},upperdir=upper/$folder,workdir=work/$folder$options" "root/$folder"
done
mount -t proc proc root/proc
mount -t sysfs -o ro sysfs root/sys 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs root/dev
for device in null zero full random urandom tty; do
    : > "root/dev/$device"
    mount --bind "/dev/$device" "root/dev/$device"
done
mkdir -p root/dev/pts root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts root/dev/pts
mount -t tmpfs -o mode=1777 tmpfs root/dev/shm
ln -s pts/ptmx root/dev/ptmx
ln -s /proc/self/fd root/dev/fd
ln -s fd/0 root/dev/stdin
ln -s fd/1 root/dev/stdout
ln -s fd/2 root/dev/stderr
mkdir -p root/.host
cd root
pivot_root . .host
cd /
umount -l /.host
rmdir /.host
echo ready
read -r go
exec < /dev/null >&2
exec /bin/sh /usr/lib/simulator/init
