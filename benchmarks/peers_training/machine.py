"""What it was measured on."""

import contextlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "jax", "torch", "numpy", "snakemake", "boxest")


def describe() -> dict:
    """Return processor, number of cores, graphics card and versions."""
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": _gpu(),
        "versions": versions,
    }


def text(described: dict) -> str:
    """Return it as a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    gpu = f"; {described['gpu']}" if described["gpu"] else ""
    sentence = f"{described['cpu']}, {described['cores']} cores{gpu}. {versions}."
    if "devices" in described:
        sentence += f" Trained on: {', '.join(described['devices'])}."
    return sentence


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        done = subprocess.run(query, capture_output=True, text=True, check=True)
        return ", ".join(done.stdout.split("\n")).strip(", ") or None
    return None
