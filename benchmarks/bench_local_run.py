"""Seconds of a first and of an unchanged run of the pipeline on the embedded digits.

Run: python benchmarks/bench_local_run.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNNER = Path(__file__).parents[1] / "local_runner.py"


def timed_run(folder: Path) -> tuple[float, dict]:
    """Wall seconds of the command in `folder`, and its summary."""
    start = time.perf_counter()
    subprocess.run([sys.executable, str(RUNNER)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return seconds, json.loads((folder / "output/digits/summary.json").read_text())


def main() -> None:
    """Prints the seconds of both runs and those of each component in the first."""
    print(f"{os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "unchanged"):
            seconds, summary = timed_run(Path(folder))
            top1 = summary["metrics"]["top1"]
            print(f"{name:<10} {seconds:6.1f} s  {summary['verdict']}  top-1 {top1:.4f}")
            for node, told in summary["components"].items():
                if not told["cached"]:
                    print(f"    {node:<18} {told['seconds']:6.1f} s")


if __name__ == "__main__":
    main()
