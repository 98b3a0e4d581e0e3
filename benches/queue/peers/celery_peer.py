"""Celery with Redis: python celery_peer.py ROLE URL COUNT. The worker is prefork with two processes, as on two cores."""

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import time

from celery import Celery

_, ROLE, URL, COUNT = sys.argv
COUNT = int(COUNT)
app = Celery("bench", broker=URL)
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)
done = multiprocessing.Value(ctypes.c_long, 0)
first = multiprocessing.Value(ctypes.c_double, 0)
delays = multiprocessing.Array(ctypes.c_double, 2000)


@app.task(name="noop")
def noop(user_id, email, sent_us):
    now = time.time()
    with done.get_lock():
        if done.value == 0:
            first.value = now
        if sent_us:
            delays[done.value % 2000] = now * 1e6 - sent_us
        done.value += 1
        last = done.value == COUNT
    if last:
        waits = sorted(delays[:min(COUNT, 2000)])
        quantile = lambda share: waits[int(len(waits) * share)] if sent_us else None
        rate = COUNT / (time.time() - first.value)
        print(json.dumps({"per_second": rate, "p50_us": quantile(0.5), "p99_us": quantile(0.99)}), flush=True)
        os.kill(os.getppid(), signal.SIGTERM)


def send(sent_us=0):
    noop.apply_async(kwargs={"user_id": 42, "email": "someone@example.com", "sent_us": sent_us})


began = time.time()
if ROLE in ("one", "bulk"):
    with app.producer_pool.acquire() as producer:
        for _ in range(COUNT):
            noop.apply_async(
                kwargs={"user_id": 42, "email": "someone@example.com", "sent_us": 0}, producer=producer)
    print(json.dumps({"per_second": COUNT / (time.time() - began)}))
elif ROLE == "pace":
    for _ in range(COUNT):
        send(time.time() * 1e6)
        time.sleep(0.02)
else:
    app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=WARNING"])
