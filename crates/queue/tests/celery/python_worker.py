"""A Celery worker of Python, as it may go on beside Dogwatch while an application moves: both take the same list.

python python_worker.py BROKER_URL [LIST,LIST...]
"""

import sys

from celery import Celery

_, URL, *lists = sys.argv
app = Celery("python_worker", broker=URL, backend=URL)


@app.task(name="app.tasks.add")
def add(x, y):
    """The same as Dogwatch's job `add`; counted, so that a test sees who ran it."""
    app.backend.client.incr("python-worker:add")
    return x + y


@app.task(name="app.tasks.only_python")
def only_python(number):
    """Which Dogwatch does not know."""
    return number * 2


if __name__ == "__main__":
    app.worker_main([
        "worker",
        "--pool=solo",
        f"--queues={','.join(lists) or 'celery'}",
        "--loglevel=WARNING",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ])
