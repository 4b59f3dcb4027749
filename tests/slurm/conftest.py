"""A real Slurm with one node, this machine: Debian's packages, started by hand on the loopback interface."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

CONFIGURATION = Path("/etc/slurm/slurm.conf")
PATIENCE = 60  # seconds that the daemons have to answer
PACKAGES = ("slurm-wlm", "munge")


def run(*command: str) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def configuration(folder: Path, host: str) -> str:
    """Without cgroups, systemd and accounting, none of which a container has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": free_port(),
        "SlurmdPort": free_port(),
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "AccountingStorageType": "accounting_storage/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "ReturnToService": 2,
        "MailProg": "/bin/true",
        "MinJobAge": 600,
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines.append(
        f"NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory * 9 // 10} State=UNKNOWN"
    )
    lines.append(f"PartitionName=only Nodes={host} Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def wait_until(question, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < end, f"{what} within {PATIENCE} s"
        time.sleep(0.2)


def says(word: str, *command: str) -> bool:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return word in done.stdout


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Slurm, ready for jobs. It installs itself where it can, which needs Debian and root."""
    if os.geteuid() != 0:
        pytest.skip("a Slurm is started by root alone")
    if not shutil.which("apt-get"):
        pytest.skip("Slurm is installed from Debian's packages, and this is no Debian")
    if CONFIGURATION.exists():
        pytest.skip(f"{CONFIGURATION} is there: this machine has a Slurm of its own")
    if not all(shutil.which(program) for program in ("slurmctld", "slurmd", "munged")):
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES)
    folder, host = tmp_path_factory.mktemp("slurm"), socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(configuration(folder, host))
    # A link, since the program that runs a job's steps forgets SLURM_CONF.
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.symlink_to(folder / "slurm.conf")
    munged = None
    try:
        if not says("Success", "sh", "-c", "munge -n | unmunge"):
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            munged = subprocess.Popen(["/usr/sbin/munged", "--foreground"], user="munge", group="munge")
            wait_until(lambda: says("Success", "sh", "-c", "munge -n | unmunge"), "munge answers")
        run("slurmctld", "-f", str(folder / "slurm.conf"))
        run("slurmd", "-f", str(folder / "slurm.conf"), "-N", host)
        wait_until(lambda: says("idle", "sinfo", "-h", "-o", "%T"), "the node is idle")
        yield folder
    finally:
        CONFIGURATION.unlink()
        for name in ("slurmctld", "slurmd"):
            file = folder / f"{name}.pid"
            if file.is_file():
                os.kill(int(file.read_text()), 15)
        if munged:
            munged.terminate()
            munged.wait()
