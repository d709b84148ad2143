"""The commands of instances, with what `--help` says of each. Their modules are loaded when they are called."""

from cyclopts import App

SSH = """Everything after NAME goes to OpenSSH as it is: `dumont ssh work -L 8888:localhost:8888`. Put `--` before a
command: `dumont ssh work -- nvidia-smi -L`. The host key is checked strictly, against the one that the api names, so
nothing is asked. The exit status is that of the command."""

CP = """One side is NAME:PATH, where NAME is an id or label and PATH without a leading / is below /root:
`dumont cp data.csv work:/workspace/`, `dumont cp work:/workspace/out .`"""

CREATE = """It pauses by itself when it is idle, wakes when you connect, and keeps its id, address and host key for
life. `dumont create --gpu "RTX 4090" --label work`, then `dumont ssh work`."""

SSH_CONFIG = """Keep them with `dumont ssh-config > ~/.ssh/dumont.conf`, and put `Include dumont.conf` at the top of
~/.ssh/config. Then `ssh dumont-12`, scp, rsync, git and editors find instance 12. The entries stay true for as long as
the instances live."""


def register(app: App) -> None:
    """Adds them to `dumont`."""
    for where, name, words, more in (
        ("create:create", "create", "A GPU to work on: price first, live progress, then the login.", CREATE),
        ("table:instances", "instances", "Your instances: what they cost, when they sleep, how to get in.", None),
        ("ssh:ssh", "ssh", "Log in to an instance, or run a command there; one that sleeps wakes.", SSH),
        ("copy:cp", "cp", "Copy a file or folder to or from an instance.", CP),
        ("actions:pause", "pause", "Stop an instance's GPU, keep its disk; connecting wakes it.", None),
        ("actions:resume", "resume", "Start a paused instance again.", None),
        ("actions:wake", "wake", "Have an instance running, from paused or hibernated.", None),
        ("actions:hibernate", "hibernate", "Give an instance's machine back, keep its files in a snapshot.", None),
        ("actions:destroy", "destroy", "End an instance for good; asks first.", None),
        ("changes:rename", "rename", "Give an instance another label.", None),
        ("changes:keep_awake", "keep-awake", "Do not let an instance pause by itself for a while.", None),
        ("snapshots:snapshots", "snapshots", "The copies that there are of your instances' files.", None),
        ("snapshots:snapshot", "snapshot", "Take a copy of an instance's files now.", None),
        (
            "restore:restore",
            "restore",
            "Bring a snapshot's files back, on a new instance or on one that is there.",
            None,
        ),
        ("events:events", "events", "What happened to an instance, and what happens.", None),
        ("ssh_config:ssh_config", "ssh-config", "Your instances as Host entries for ~/.ssh/config.", SSH_CONFIG),
    ):
        app.command(f"cli.instances.{where}", name=name, help=words, help_epilogue=more)
