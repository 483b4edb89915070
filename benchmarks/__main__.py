"""``python -m benchmarks``: all of them, one after the other. ``--quick`` measures less, to see that they run."""

import subprocess
import sys

QUICK = {
    "benchmarks.mlflow_registry": ["--quick"],
    "benchmarks.ledger": ["--quick"],
    "benchmarks.reports": ["--quick"],
    "benchmarks.time_travel": ["--models", "200", "--versions", "1000", "--rounds", "5"],
    "benchmarks.decision_screen": ["--models", "200", "--versions", "1000", "--rounds", "5"],
    "benchmarks.checks.fairness": ["--quick"],
    "benchmarks.checks.coverage_fairness": ["--quick"],
}


def main() -> int:
    """Run each in a process of its own; the worst exit code."""
    quick = "--quick" in sys.argv[1:]
    codes = [
        subprocess.run([sys.executable, "-m", name, *(options if quick else [])], check=False).returncode
        for name, options in QUICK.items()
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
