"""Part `tests`: the tests marked `gpu`, with the numbers that each recorded."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from benchmarks.gpu.record import ROOT, Given, arguments

FILES = ("tests/gpu/test_device.py", "tests/compiled/test_graph.py")


def main(given: Given) -> None:
    """Run the marked tests and record the verdict and numbers of each."""
    report = given.out / "tests.xml"
    command = [sys.executable, "-m", "pytest", *FILES, "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"TIMELLAMA_TEST_DEVICE": given.device}
    subprocess.run([*command, f"--junitxml={report}", "--tb=short"], cwd=ROOT, env=environment, check=False)
    for case in ElementTree.parse(report).iter("testcase"):
        bad = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        given.record.add(
            what="test",
            name=case.get("name"),
            verdict=bad.tag if bad is not None else "passed",
            seconds=float(case.get("time", 0)),
            **({"message": (bad.get("message") or "")[:300]} if bad is not None else {}),
            **{item.get("name"): item.get("value") for item in case.iter("property")},
        )
    report.unlink()


if __name__ == "__main__":
    main(arguments("tests"))
