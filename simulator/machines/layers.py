"""Image layers: what an image adds to the host's system folders, built once per data folder and shared by machines."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "images"
PLATFORM = Path(__file__).parent / "platform"
# Of the host's /etc only what programs need to work, and nothing that is a secret.
ETC = ("alternatives", "bash.bashrc", "ssl/certs", "ssl/openssl.cnf", "ca-certificates.conf", "ld.so.cache",
       "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "os-release", "debian_version",
       "profile", "protocols", "services", "terminfo", "inputrc", "host.conf", "gai.conf", "pki/tls/certs",
       "crypto-policies", "login.defs", "tmux.conf", "perl")  # fmt: skip
OWN_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534:sshd:/run/sshd:/bin/false\n"
    "nobody:x:65534:65534:nobody:/:/bin/false\n",
    "shadow": "root:*:19000:0:99999:7:::\n",
    "group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n169.254.77.1 hardware.simulator\n169.254.77.2 host.simulator\n",
    "resolv.conf": "# a simulated machine has no name server\n",
    "environment": "",
    "motd": "This is a simulated machine: no GPU is here.\n",
}


class Layers:
    """Folders named like images, each with the system folders it adds to (``usr``, perhaps ``opt/python``)."""

    def __init__(self, folder: Path, in_user_namespace: bool) -> None:
        self.folder = folder
        self.in_user_namespace = in_user_namespace
        self._python = machine_python()

    def build(self) -> None:
        """Write every layer anew (they follow the program's version, not the machines')."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._build_platform()
        for name in ("nvidia", "vllm"):
            usr = self.folder / name / "usr"
            _copy_programs(IMAGES / name / "bin", usr / "bin")
            packages = self.folder / name / self._python.packages.lstrip("/")
            shutil.copytree(IMAGES / name / "python", packages, ignore=shutil.ignore_patterns("__pycache__"))

    def _build_platform(self) -> None:
        usr = self.folder / "platform/usr"
        for name in ("bin", "sbin", "lib/simulator", "local/bin", "local/sbin", "local/lib", "share"):
            (usr / name).mkdir(parents=True)
        _copy_programs(PLATFORM, usr / "lib/simulator")
        (usr / "local/bin/python").symlink_to(self._python.executable)
        if self._python.executable != "/usr/bin/python3":
            (usr / "local/bin/python3").symlink_to(self._python.executable)
        if self._python.lower:
            (self.folder / "platform/opt/python").mkdir(parents=True)
        _build_etc(self.folder / "platform/etc")

    @staticmethod
    def names(image: str) -> list[str]:
        """The layers of an image, topmost first."""
        return [*(["vllm"] if "vllm" in image.lower() else []), "nvidia", "platform"]

    def extra_folders(self, image: str) -> list[str]:
        return ["opt/python"] if self._python.lower else []

    def lower(self, image: str, folder: str, machine: Path) -> str:
        """Overlay's ``lowerdir`` for one folder, relative to the machine's own folder (so that a path with a colon or a
        comma above the data folder does no harm)."""
        here = os.path.relpath(self.folder, machine)
        own = [f"{here}/{name}/{folder}" for name in self.names(image) if (self.folder / name / folder).is_dir()]
        if folder == "etc":
            return ":".join(own)
        return ":".join([*own, self._python.lower if folder == "opt/python" else f"/{folder}"])

    def search_path(self, image: str) -> tuple[list[str], list[str]]:
        """For machines without namespaces: folders of programs and of Python packages."""
        folders = [self.folder / name for name in self.names(image)]
        programs = [str(folder / "usr" / part) for folder in folders for part in ("bin", "local/bin")]
        return programs, [str(folder / self._python.packages.lstrip("/")) for folder in folders]


class _Python:
    def __init__(self, executable: str, packages: str, lower: str = "") -> None:
        self.executable = executable
        self.packages = packages
        self.lower = lower


def machine_python() -> _Python:
    """The Python that machines have: the system's, else the one that runs the simulator, shown at /opt/python."""
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.access(candidate, os.X_OK):
            command = [candidate, "-I", "-c", "import site; print(site.getsitepackages()[0])"]
            packages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
            if packages.startswith("/usr/"):
                return _Python(candidate, packages)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return _Python(f"/opt/python/bin/{version}", f"/opt/python/lib/{version}/site-packages", sys.base_prefix)


def _copy_programs(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for program in source.iterdir():
        copy = target / program.name
        shutil.copyfile(program, copy)
        copy.chmod(0o755)


def _build_etc(target: Path) -> None:
    target.mkdir(parents=True)
    for name in ETC:
        _copy_readable(Path("/etc") / name, target / name)
    for name, text in OWN_ETC.items():
        (target / name).write_text(text)


def _copy_readable(source: Path, target: Path) -> None:
    """Copy a file or a tree as far as we may read it; links stay links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
    elif source.is_dir():
        target.mkdir()
        for inner in source.iterdir() if os.access(source, os.R_OK | os.X_OK) else ():
            _copy_readable(inner, target / inner.name)
    elif source.is_file() and os.access(source, os.R_OK) and stat.S_ISREG(source.stat().st_mode):
        shutil.copyfile(source, target)
