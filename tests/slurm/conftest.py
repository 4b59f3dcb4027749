"""A real Slurm with one node, this machine: Debian's packages, started manually on the loopback interface."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

CONFIGURATION = Path("/etc/slurm/slurm.conf")
LOCK = Path("/tmp/timellama-test-slurm.lock")
PATIENCE = 60  # seconds that the daemons have to answer
DAEMONS = ("slurmctld", "slurmd", "munged")
DEVICES = ("/dev/null", "/dev/zero")  # stand in for two GPUs: Slurm allocates files, whatever they are
OURS = "# Of timellama's tests; rebuilt by each run of them.\n"


def run(*command: str) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def free_ports(count: int) -> list[int]:
    places = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [place.getsockname()[1] for place in places]
    for place in places:
        place.close()
    return ports


def configuration(folder: Path, host: str) -> str:
    """Without cgroups, systemd and accounting, none of which a container has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    controller, worker = free_ports(2)
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": controller,
        "SlurmdPort": worker,
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "GresTypes": "gpu",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=2",
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
    node = f"NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory * 9 // 10} Gres=gpu:{len(DEVICES)}"
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines.append(f"NodeName={host} {node} State=UNKNOWN")
    lines.append(f"PartitionName=processors Nodes={host} Default=YES MaxTime=INFINITE State=UP")
    lines.append(f"PartitionName=graphics Nodes={host} MaxTime=INFINITE State=UP")
    return OURS + "\n".join(lines) + "\n"


def clear(configuration: Path) -> None:
    """Removes what a killed test run left: its links, and its daemons if they still run. Leaves any other Slurm alone.

    Only for the holder of the lock, since an active test run looks the same.
    """
    if not configuration.is_symlink():
        return
    if configuration.exists():
        if not configuration.read_text(encoding="utf-8").startswith(OURS):
            return
        stop(configuration.resolve().parent)
    for link in (configuration, configuration.with_name("gres.conf")):
        if link.is_symlink():
            link.unlink()


def stop(folder: Path) -> None:
    """Stops the daemons whose process ids are in the folder."""
    for name in ("slurmctld", "slurmd"):
        file = folder / f"{name}.pid"
        if not file.is_file():
            continue
        number = int(file.read_text())
        running = Path(f"/proc/{number}/comm")
        if running.is_file() and running.read_text().strip() == name:  # not another process that got the id since
            os.kill(number, signal.SIGTERM)


def wait_until(question, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.2)


def answer(*command: str) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout


def munge_answers() -> bool:
    return "Success" in answer("sh", "-c", "munge -n | unmunge")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Slurm, ready for jobs, in its own folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a Slurm")
    missing = [daemon for daemon in DAEMONS if not shutil.which(daemon)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed: apt-get install --no-install-recommends slurm-wlm munge")
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # there is one /etc/slurm, and another test run may be active
        clear(CONFIGURATION)
        if CONFIGURATION.exists() or CONFIGURATION.is_symlink():
            pytest.skip(f"{CONFIGURATION} exists: this machine has its own Slurm")
        yield from started(tmp_path_factory.mktemp("slurm"))


def started(folder: Path):
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(configuration(folder, host))
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={','.join(DEVICES)}\n")
    # Links, since the program that runs a job's steps drops SLURM_CONF.
    links = [CONFIGURATION, CONFIGURATION.with_name("gres.conf")]
    CONFIGURATION.parent.mkdir(exist_ok=True)
    for link in links:
        link.unlink(missing_ok=True)
        link.symlink_to(folder / link.name)
    munged = None
    try:
        if not munge_answers():
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            munged = subprocess.Popen(["/usr/sbin/munged", "--foreground"], user="munge", group="munge")
            wait_until(munge_answers, "munge answers")
        run("slurmctld", "-f", str(folder / "slurm.conf"))
        run("slurmd", "-f", str(folder / "slurm.conf"), "-N", host)
        wait_until(lambda: "idle" in answer("sinfo", "-h", "-o", "%T"), "the node is idle")
        yield folder
        run("scancel", "--user", "root")  # those of a test that failed
        wait_until(lambda: not answer("squeue", "-h").strip(), "no job is left")
    finally:
        stop(folder)
        if munged:
            munged.terminate()
            munged.wait()
        for link in links:
            link.unlink()
