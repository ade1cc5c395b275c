"""A server to measure, pairs of timings taken in turn, and what the page is made of."""

import os
import pathlib
import statistics
import subprocess
import time
import urllib.parse

import snowflake.connector

ROOT = pathlib.Path(__file__).resolve().parents[1]
PASSWORD = "benchmark-1"
THREADS = os.cpu_count() or 1


class Server:
    """A Frazil server on its own data directory."""

    def __init__(self, directory, **variables):
        self.process = subprocess.Popen(
            [os.environ["FRAZIL_BIN"], "serve", "--data-dir", str(directory), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "FRAZIL_BOOTSTRAP_PASSWORD": PASSWORD, **variables},
        )
        self.url = None
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                break
        if self.url is None:
            raise RuntimeError("the server did not start")

    def connect(self, **more):
        parts = urllib.parse.urlsplit(self.url)
        return snowflake.connector.connect(
            user="admin",
            password=PASSWORD,
            account="bench",
            host=parts.hostname,
            port=parts.port,
            protocol="http",
            **more,
        )

    def cpu_seconds(self):
        """Processor time the process has used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget_peak(self):
        """Starts the count of peak memory anew."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory_mib(self, what):
        """Memory of the process: what is VmRSS (now) or VmHWM (highest)."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{what}:"))
        return int(line.split()[1]) // 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def timed(work):
    """Seconds that work takes, and what it gives."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


class Pairs:
    """Timings of Frazil and of a peer for the same work, taken in turn."""

    def __init__(self):
        self.ours, self.theirs = [], []

    def add(self, ours, theirs):
        self.ours.append(ours)
        self.theirs.append(theirs)

    @property
    def mine(self):
        return statistics.median(self.ours)

    @property
    def other(self):
        return statistics.median(self.theirs)

    @property
    def ratio(self):
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs))


class Page:
    """Rows of the page, in sections."""

    def __init__(self):
        self.sections = []

    def section(self, title, text=""):
        self.sections.append({"title": title, "text": text, "rows": [], "after": ""})

    def row(self, what, mine, other, ratio, peer):
        self.sections[-1]["rows"].append((what, mine, other, ratio, peer))
        print(f"  {what}: {mine}; {peer} {other}; ratio {ratio}", flush=True)

    def compare(self, what, ours, theirs, peer, repeats=5, warm=1):
        """Runs both in turn; the row has the medians and the median of the ratios."""
        for _ in range(warm):
            ours()
            theirs()
        pairs = Pairs()
        for _ in range(repeats):
            pairs.add(timed(ours)[0], timed(theirs)[0])
        self.pair(what, pairs, peer)
        return pairs

    def pair(self, what, pairs, peer):
        self.row(what, seconds(pairs.mine), seconds(pairs.other), f"{pairs.ratio:.2f}", peer)

    def note(self, text):
        self.sections[-1]["after"] += text + "\n"
