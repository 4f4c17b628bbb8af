"""The same work through Celery: /bin/true once per task, its output read, from a queue in Redis.

As a program, `celery_tasks.py COUNT` pushes so many tasks, and prints the monotonic moment before the first.
BENCH_BROKER is the address of the broker.
"""
import os
import subprocess
import sys
import time

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
# A task counts as taken only when it has ended: one that a crash interrupts is not lost.
app.conf.update(task_ignore_result=True, task_acks_late=True)


@app.task(name="bench.run")
def run() -> None:
    subprocess.run(["/bin/true"], check=True, capture_output=True)


if __name__ == "__main__":
    print(time.monotonic())
    for _ in range(int(sys.argv[1])):
        run.delay()
