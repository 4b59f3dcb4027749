"""Runs the parts of the check one after another within a budget of seconds."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.record import NAME, Record

# Name, and the most seconds that the part may take. With less than a quarter of that left, the part is skipped by name.
PARTS = {
    "machine": 60,
    "tests": 120,
    "training": 110,
    "efficiency": 170,
    "traffic": 80,
    "steps": 70,
    "sharing": 110,
    "calibration": 60,
    "kernels": 40,
    "compiled": 90,
}
TINY = 3  # our choice: this many times as long on tiny shapes, which check whether a part passes, not how fast


def main() -> int:
    """0 if every part that was started ended normally and recorded no error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--out", type=Path, required=True, help="folder for results.jsonl and the parts' output")
    parser.add_argument("--results", type=Path, default=Path("results"), help="with prepared backbones/ and data/")
    parser.add_argument("--budget", type=float, default=450, help="seconds for all parts")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the check on a CPU")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in (NAME, "output.txt"):
        (given.out / name).unlink(missing_ok=True)
    end, failed = time.monotonic() + given.budget, []
    for name in given.parts:
        left = end - time.monotonic()
        record = Record(given.out, part=name)
        if left < PARTS[name] / 4:
            record.add(what="part", status=f"skipped: {left:.0f} s were left")
            continue
        longest = PARTS[name] * (TINY if given.tiny else 1)
        status = run_part(name, given, seconds=min(left, longest), record=record)
        if status != "ended":
            failed.append(name)
    print(summary(given.out), flush=True)
    return 1 if failed or any("error" in row for row in Record.read(given.out)) else 0


def run_part(name: str, given: argparse.Namespace, *, seconds: float, record: Record) -> str:
    """Run a part in a separate process and record how it ended."""
    command = [sys.executable, "-u", "-m", f"benchmarks.gpu.{name}", "--device", given.device, "--out", str(given.out)]
    command += ["--results", str(given.results), "--seconds", f"{seconds - 5:.0f}", *(["--tiny"] if given.tiny else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    if given.tiny:
        environment["OMP_NUM_THREADS"] = "1"  # on a busy machine, threads waiting for each other take all the time
    begun = time.monotonic()
    with (given.out / "output.txt").open("a", encoding="utf-8") as output:
        output.write(f"== {name}\n")
        output.flush()
        try:
            done = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, timeout=seconds, env=environment, check=False
            )
            status = "ended" if done.returncode == 0 else f"failed with status {done.returncode}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {seconds:.0f} s"
    record.add(what="part", status=status, seconds=time.monotonic() - begun)
    print(f"{name}: {status}, {time.monotonic() - begun:.0f} s", flush=True)
    return status


def summary(out: Path) -> str:
    """Every row in short, except the tests that passed, which are only counted."""
    rows = Record.read(out)
    passed = sum(row.get("verdict") == "passed" for row in rows)
    lines = [f"tests passed: {passed}"]
    for row in rows:
        if row.get("verdict") != "passed":
            shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
            lines.append(" ".join(f"{key}={value}" for key, value in shown.items() if key != "run")[:260])
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
