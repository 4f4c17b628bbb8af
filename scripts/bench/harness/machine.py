"""The machine of a run: processor, kernel, virtualisation, file system and its fsync, load, versions.

Figures mean little without it; it stands in results.json and under every table.
"""
from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .figures import median, percentile
from .peers import KINDS

OWN_PACKAGES = ("libpistache-dev", "libcaf-dev", "libsqlite3-0", "redis-server", "g++")
FSYNC_COUNT = 200
FSYNC_BYTES = 4096


def output_of(command: list[str]) -> str:
    """What a program prints; empty when it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def processor() -> str:
    for row in Path("/proc/cpuinfo").read_text().splitlines():
        if row.startswith(("model name", "Model")):
            return row.split(":", 1)[1].strip()
    return platform.machine()


def virtualisation() -> str:
    found = output_of(["systemd-detect-virt"])
    if found:
        return found
    flags = " hypervisor " in Path("/proc/cpuinfo").read_text().replace("\n", " ")
    return "a hypervisor" if flags else "none seen"


def file_system(directory: Path) -> str:
    """Type, device and options of what the directory is on: the mount with the longest path above it."""
    best = ("", "unknown")
    path = str(directory.resolve())
    for row in Path("/proc/self/mounts").read_text().splitlines():
        device, point, kind, options = row.split()[:4]
        above = path == point or path.startswith(point.rstrip("/") + "/")
        if above and len(point) >= len(best[0]):
            best = (point, f"{kind} on {device} ({options})")
    return best[1]


def fsync_ms(directory: Path) -> dict[str, float]:
    """One block appended and made durable, again and again without a pause."""
    times: list[float] = []
    path = directory / "fsync"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(FSYNC_COUNT):
            began = time.monotonic()
            os.write(file, bytes(FSYNC_BYTES))
            os.fdatasync(file)
            times.append((time.monotonic() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return {"p50": median(times), "p99": percentile(times, 0.99)}


def versions() -> dict[str, str]:
    """Of Debian's packages and of Node; what peers alone can tell, they add (measurement.versions)."""
    names = [*OWN_PACKAGES, *(package for kind in KINDS for package in kind.packages)]
    found: dict[str, str] = {}
    for row in output_of(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names]).splitlines():
        package, _, version = row.partition(" ")
        if version:
            found[package] = version
    if node := output_of(["node", "--version"]):
        found["node"] = node
    return found


def describe(directory: Path, binary: Path) -> dict[str, Any]:
    """Everything about the machine; to be called before anything is measured."""
    load = os.getloadavg()
    memory_kb = next(
        int(row.split()[1])
        for row in Path("/proc/meminfo").read_text().splitlines()
        if row.startswith("MemTotal:")
    )
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_kb * 1024 / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "virtualisation": virtualisation(),
        "file_system": file_system(directory),
        "fsync_ms": fsync_ms(directory),
        "load_before": list(load),
        "task_runner": output_of([str(binary), "-version"]),
        "commit": output_of(
            ["git", "-C", str(Path(__file__).resolve().parent), "rev-parse", "--short", "HEAD"]
        ),
        "versions": versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def peer_versions(about: dict[str, Any]) -> str:
    """Of the peers that Debian or npm has brought, in one row."""
    return ", ".join(
        f"{name} {version}" for name, version in about["versions"].items() if name not in OWN_PACKAGES
    )


def in_words(about: dict[str, Any]) -> str:
    """One paragraph."""
    fsync = about["fsync_ms"]
    return (
        f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, {about['kernel']}, "
        f"virtualisation: {about['virtualisation']}; {about['file_system'].split(' (')[0]}, "
        f"an fsync of 4 KiB takes {fsync['p50']:.2f} ms (p99 {fsync['p99']:.2f}); "
        f"load before the run {about['load_before'][0]:.2f}; {about['measured_at'][:10]}"
    )
