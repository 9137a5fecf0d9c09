"""Where a benchmark's files are: a fresh ext4 of its own, so that the servers
are measured and not what was deleted on the disk before (ext4 without a
journal makes files slowly for minutes after many deletions; both servers pay).

A sparse file of at most SIZE bytes, mkfs.ext4, mount -o loop.  The mount is
seen by this process and its children alone, and the file has no name once it
is mounted: whatever ends the benchmark, nothing stays behind."""
import contextlib, ctypes, os, shutil, signal, subprocess, sys, tempfile, time

SIZE = 8 << 30
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
own = False


def own_mounts():
    """A mount namespace of our own; False where that is not to be had."""
    global own
    libc = ctypes.CDLL(None, use_errno=True)
    if not own:
        own = libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    return own


def mount_image(at):
    """A new file system on `at`; False, and nothing is left, where it fails."""
    image = at + ".img"
    try:
        with open(image, "wb") as f:
            f.truncate(SIZE)
        # all of the tables now: the kernel would write them while we measure
        made = subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], **quiet)
        return made.returncode == 0 and own_mounts() and \
            subprocess.run(["mount", "-o", "loop", image, at], **quiet).returncode == 0
    except OSError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(image)


def unmount(at):
    """What ended just now may hold it for a moment; lazily at last: it goes
    with its last user."""
    for _ in range(50):
        if subprocess.run(["umount", at], **quiet).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", at], **quiet)


def kind(path):
    """Its file system, as findmnt names it."""
    p = subprocess.run(["findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", path], stdout=subprocess.PIPE, text=True)
    return " ".join(p.stdout.split()) or "unknown"


@contextlib.contextmanager
def place(wish):
    """The folder to work in: below `wish` (--dir), else on a fresh disk, else
    in TMPDIR."""
    at = tempfile.mkdtemp(prefix="mxdisk.", dir=wish or os.environ.get("TMPDIR") or "/var/tmp")
    os.chmod(at, 0o755)
    mounted = False
    try:
        mounted = not wish and os.geteuid() == 0 and mount_image(at)
        print(f"\nfile system: {'fresh, ' if mounted else ''}{kind(at)}"
              + ("" if mounted or wish else " (no loop device: old deletions may count)"), flush=True)
        yield at
    finally:
        if mounted:
            unmount(at)
        shutil.rmtree(at, ignore_errors=True)


def stop_signals():
    """SIGTERM and SIGHUP end us as ^C does: through every `finally`."""
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda *_: sys.exit(1))
