"""An unmodified Celery client before a Dogwatch worker: python client.py BROKER_URL CASE...

Each function whose name begins with `case_` is a case of its own: it sends, waits, and fails by an exception. One that
went well prints `ok CASE`. `list` prints the names of all, `all` runs them.

Results are at BROKER_URL too, or at BACKEND_URL of the environment; BROKER_PREFIX and RESULTS_PREFIX are the
`global_keyprefix` of both. The worker takes the list `celery` from the Redis at BROKER_URL and offers the jobs
    echo  any arguments                   returns them
    add   x, y                            returns their sum
    fail  message                         fails with this message, at the first attempt
    slow  seconds                         sleeps so long
and this is its configuration: [celery.tasks] "app.tasks.add" = { job = "add", args = ["x", "y"] }
"""

import datetime
import decimal
import json
import os
import sys
import time
import uuid

from celery import Celery, chain, chord, group
from celery.exceptions import (
    NotRegistered, SoftTimeLimitExceeded, TaskError, TaskRevokedError, TimeLimitExceeded, TimeoutError,
)

# A worker that is not fast enough for this fails the case; nothing ever waits longer.
PATIENCE = 20
# What a waiting job may be started earlier than asked: clocks of one machine, read in different ways.
TOLERANCE = 0.05


def new_app():
    """As an application has it: nothing but the addresses, and prefixes where there are any, is set."""
    app = Celery("client", broker=URL, backend=os.environ.get("BACKEND_URL", URL))
    for setting, variable in [
        ("broker_transport_options", "BROKER_PREFIX"),
        ("result_backend_transport_options", "RESULTS_PREFIX"),
    ]:
        if variable in os.environ:
            app.conf[setting] = {"global_keyprefix": os.environ[variable]}
    return app


def send(name, *args, **options):
    return app.send_task(name, *args, **options)


def get(result):
    try:
        return result.get(timeout=PATIENCE)
    except TimeoutError:
        print(situation(result), file=sys.stderr)
        raise


def situation(result):
    """Where the parts of a result are, and what Redis holds: a reader of the log has nothing else."""
    redis = app.backend.client
    lines = []
    while result is not None:
        lines.append(f"{result.id} is {app.AsyncResult(result.id).state}")
        result = result.parent
    length = {b"list": redis.llen, b"zset": redis.zcard, b"hash": redis.hlen}
    for key in sorted(redis.scan_iter()):
        kind = redis.type(key)
        held = length[kind](key) if kind in length else ""
        first = redis.lrange(key, 0, 3) if kind == b"list" else ""
        lines.append(f"{key!r}: {kind.decode()} {held} {first}")
    return "\n".join(lines)


def raised(result):
    """What waiting for this result raises."""
    try:
        value = get(result)
    except TimeoutError:
        raise
    except Exception as error:
        return error
    raise AssertionError(f"no exception, but {value!r}")


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def job_error(error, message):
    equal(type(error), TaskError)
    assert message in str(error), f"{error!r} does not say {message!r}"


def elsewhere(task_id):
    """The result as another process sees it, which knows nothing but the id."""
    return new_app().AsyncResult(task_id)


def case_kwargs():
    kwargs = {"host": "db1", "limit": 0.9, "tags": ["a", {"b": None}], "text": "Zoë 🐕"}
    equal(get(send("echo", kwargs=kwargs)), kwargs)


def case_no_arguments():
    equal(get(send("echo")), {})


def case_positional():
    equal(get(send("app.tasks.add", (1, 2))), 3)
    equal(get(send("app.tasks.add", (1,), {"y": 5})), 6)


def case_positional_wrong():
    """As Python itself would say it."""
    for task, args, kwargs, message in [
        ("echo", (1,), {}, "takes 0 positional arguments but 1 was given"),
        ("app.tasks.add", (1, 2, 3), {}, "takes 2 positional arguments but 3 were given"),
        ("app.tasks.add", (1,), {"x": 1, "y": 1}, "got multiple values for argument 'x'"),
    ]:
        error = raised(send(task, args, kwargs))
        assert isinstance(error, TypeError), repr(error)
        assert message in str(error), f"{error!r} does not say {message!r}"


def case_mapped_name():
    equal(get(send("app.tasks.add", kwargs={"x": 40, "y": 2})), 42)


def case_typed_arguments():
    """What JSON has no notation for arrives as text."""
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    kwargs = {
        "uuid": uuid.UUID(int=1),
        "datetime": moment,
        "date": moment.date(),
        "decimal": decimal.Decimal("1.50"),
        "bytes": b"abc",
        "binary": b"\xff\x00",
    }
    expected = {
        "uuid": "00000000-0000-0000-0000-000000000001",
        "datetime": "2026-01-02T03:04:05+00:00",
        "date": "2026-01-02",
        "decimal": "1.50",
        "bytes": "abc",
        "binary": "/wA=",
    }
    equal(get(send("echo", kwargs=kwargs)), expected)


def not_before(moment, result):
    get(result)
    early = moment - time.time()
    assert early < TOLERANCE, f"{early} s too early"
    assert early > -PATIENCE / 2, f"{-early} s too late"


def case_countdown():
    due = time.time() + 2
    not_before(due, send("echo", countdown=2))


def case_eta():
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    not_before(due.timestamp(), send("echo", eta=due))
    # A time without a zone is UTC, and one of another zone is what it says.
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    not_before(due.timestamp(), send("echo", eta=due.replace(tzinfo=None)))
    due = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    due += datetime.timedelta(seconds=1)
    not_before(due.timestamp(), send("echo", eta=due))


def case_expires():
    result = send("echo", expires=-5)
    error = raised(result)
    assert isinstance(error, TaskRevokedError), repr(error)
    equal(result.state, "REVOKED")
    # Expires before it is due.
    assert isinstance(raised(send("echo", countdown=3, expires=1)), TaskRevokedError)
    # In time.
    equal(get(send("echo", expires=60)), {})


def case_priority():
    """0 is first and 9 is last, whatever was sent first. For a worker that runs `CONCURRENCY` (1) jobs at a time."""
    concurrency = int(os.environ.get("CONCURRENCY", "1"))
    blockers = [send("slow", kwargs={"seconds": 3}) for _ in range(concurrency)]
    time.sleep(1)
    results = {priority: send("echo", priority=priority) for priority in (9, 6, 3, 0)}
    for result in [*blockers, *results.values()]:
        get(result)
    by_end = sorted(results, key=lambda priority: results[priority].date_done)
    if concurrency == 1:
        equal(by_end, [0, 3, 6, 9])
    else:
        # Those that begin together may end in any order.
        assert by_end.index(0) < by_end.index(9), by_end


def case_task_id():
    task_id = f"chosen-{uuid.uuid4()}"
    result = send("echo", kwargs={"a": 1}, task_id=task_id)
    equal(result.id, task_id)
    equal(get(result), {"a": 1})
    equal(get(elsewhere(task_id)), {"a": 1})


def forget(task_id):
    """Forgets a result; with a new client, since the old one may have an announcement of it unread."""
    global app
    app.AsyncResult(task_id).forget()
    app = new_app()


def case_task_id_again():
    """An id that has ended runs again, as in Celery; one that waits or runs is kept."""
    task_id = f"again-{uuid.uuid4()}"
    job_error(raised(send("fail", kwargs={"message": "first"}, task_id=task_id)), "first")
    for n in range(3):
        forget(task_id)
        equal(get(send("echo", kwargs={"n": n}, task_id=task_id)), {"n": n})
    # Wrong arguments, and then right ones.
    forget(task_id)
    assert isinstance(raised(send("app.tasks.add", ("a",) * 3, task_id=task_id)), TypeError)
    forget(task_id)
    equal(get(send("app.tasks.add", (1, 2), task_id=task_id)), 3)
    # While it waits, the first is kept.
    forget(task_id)
    first = send("echo", kwargs={"n": "first"}, task_id=task_id, countdown=2)
    send("echo", kwargs={"n": "second"}, task_id=task_id)
    equal(get(first), {"n": "first"})


def case_chain_again():
    """A chain whose step has a fixed id."""
    task_id = f"again-{uuid.uuid4()}"
    for n in range(3):
        forget(task_id)
        equal(get(chain(add(n, 2), add(10).set(task_id=task_id)).apply_async()), n + 12)


def case_ignore_result():
    ignored = send("add", kwargs={"x": 1, "y": 1}, ignore_result=True)
    failed = send("fail", kwargs={"message": "nobody asks"}, ignore_result=True)
    get(send("echo", countdown=1))
    for result in (ignored, failed):
        equal(app.backend.client.get(f"celery-task-meta-{result.id}"), None)


def case_time_limit():
    began = time.monotonic()
    result = send("slow", kwargs={"seconds": PATIENCE}, time_limit=1)
    error = raised(result)
    assert time.monotonic() - began < PATIENCE / 2, "it was not stopped"
    equal(result.state, "FAILURE")
    assert isinstance(error, TimeLimitExceeded), repr(error)


def case_soft_time_limit():
    """The smaller of both limits holds."""
    for options in ({"soft_time_limit": 1}, {"soft_time_limit": 1, "time_limit": PATIENCE * 3}):
        error = raised(send("slow", kwargs={"seconds": PATIENCE * 2}, **options))
        assert isinstance(error, SoftTimeLimitExceeded), repr(error)
    error = raised(send("slow", kwargs={"seconds": PATIENCE * 2}, soft_time_limit=PATIENCE * 3, time_limit=1))
    assert isinstance(error, TimeLimitExceeded), repr(error)


def case_compression():
    kwargs = {"text": "dog " * 1000}
    equal(get(send("echo", kwargs=kwargs, compression="zlib")), kwargs)


def case_protocol_1():
    old = new_app()
    old.conf.task_protocol = 1
    equal(get(old.send_task("app.tasks.add", (1,), {"y": 1})), 2)


def case_async_result():
    result = send("add", kwargs={"x": 1, "y": 2})
    other = elsewhere(result.id)
    equal(get(other), 3)
    equal((other.state, other.successful(), other.result), ("SUCCESS", True, 3))
    age = datetime.datetime.now(datetime.timezone.utc) - other.date_done
    assert abs(age.total_seconds()) < PATIENCE, other.date_done


def case_failure():
    result = send("fail", kwargs={"message": "the disk is full"})
    job_error(raised(result), "the disk is full")
    other = elsewhere(result.id)
    job_error(raised(other), "the disk is full")
    equal((other.state, other.failed()), ("FAILURE", True))


def case_revoke_waiting():
    result = send("echo", countdown=PATIENCE * 3)
    time.sleep(0.5)
    result.revoke()
    error = raised(result)
    assert isinstance(error, TaskRevokedError), repr(error)
    equal(result.state, "REVOKED")
    # Several at once.
    results = [send("echo", countdown=PATIENCE * 3) for _ in range(3)]
    time.sleep(0.5)
    app.control.revoke([result.id for result in results])
    for result in results:
        assert isinstance(raised(result), TaskRevokedError)


def case_revoke_running():
    began = time.monotonic()
    result = send("slow", kwargs={"seconds": PATIENCE})
    time.sleep(1.5)
    result.revoke(terminate=True)
    error = raised(result)
    assert time.monotonic() - began < PATIENCE / 2, "it was not stopped"
    assert isinstance(error, TaskRevokedError), repr(error)


def case_revoke_lets_run():
    """Without `terminate`, what runs already runs to its end."""
    result = send("slow", kwargs={"seconds": 3})
    time.sleep(1.5)
    result.revoke()
    get(result)
    equal(elsewhere(result.id).state, "SUCCESS")


def answers(command, *args, **options):
    """What the workers answer, as soon as one does."""
    until = time.monotonic() + PATIENCE
    while True:
        found = getattr(app.control.inspect(timeout=1, **options), command)(*args)
        if found or time.monotonic() > until:
            return found


def case_inspect():
    (node,) = answers("ping")
    assert node.startswith("dogwatch@"), node
    equal(answers("ping"), {node: {"ok": "pong"}})
    # Nothing is registered under a name of a task that only the client knows.
    names = answers("registered")[node]
    assert {"app.tasks.add", "echo", "slow"} <= set(names), names
    result = send("slow", kwargs={"seconds": 6})
    until = time.monotonic() + PATIENCE
    while not (running := [task for task in answers("active")[node] if task["id"] == result.id]):
        assert time.monotonic() < until, "it is not active"
    equal((running[0]["name"], running[0]["hostname"]), ("slow", node))
    assert answers("stats")[node]["pool"]["max-concurrency"] > 0
    # For certain workers.
    equal(list(answers("ping", destination=[node])), [node])
    equal(list(answers("ping", pattern="dogwatch@*", matcher="glob")), [node])
    for others in ({"destination": ["celery@other"]}, {"pattern": "celery@*", "matcher": "glob"}):
        equal(app.control.inspect(timeout=1, **others).ping(), None)
    app.control.revoke(result.id, terminate=True, destination=["celery@other"])
    get(result)
    # `ping` of the control itself.
    equal(app.control.ping(timeout=1, destination=[node]), [{node: {"ok": "pong"}}])


def case_unreadable():
    """Whatever is wrong with a message of a known task, its sender gets an exception."""
    redis = app.backend.client
    for n, change in enumerate([
        lambda envelope: envelope.update(body="*"),
        lambda envelope: envelope["headers"].update(compression="application/x-gzip"),
        lambda envelope: envelope["headers"].update(id=None, eta="soon"),
        lambda envelope: envelope.update({"content-type": "application/x-msgpack"}),
    ]):
        task_id = f"unreadable-{n}-{uuid.uuid4()}"
        envelope = {
            "body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json",
            "headers": {"id": task_id, "task": "echo", "lang": "py"},
            "properties": {"correlation_id": task_id, "body_encoding": "base64", "delivery_tag": task_id},
        }
        change(envelope)
        redis.lpush("celery", json.dumps(envelope))
        raised(elsewhere(task_id))
        equal(elsewhere(task_id).state, "FAILURE")


def case_pickle():
    app.conf.accept_content = ["json", "pickle"]
    result = send("echo", kwargs={"z": 1}, serializer="pickle")
    error = raised(result)
    equal((result.state, type(error).__name__), ("FAILURE", "ContentDisallowed"))
    assert 'task_serializer = "json"' in str(error), str(error)


def case_unknown_task():
    result = send("app.tasks.nobody_wrote_it", (1,))
    error = raised(result)
    assert isinstance(error, NotRegistered), repr(error)
    assert "app.tasks.nobody_wrote_it" in str(error), str(error)
    equal(result.state, "FAILURE")


def add(*args, **options):
    return app.signature("app.tasks.add", args=args, **options)


def case_chain():
    result = chain(add(1, 2), add(10), add(100)).apply_async()
    equal(get(result), 113)
    equal((get(result.parent), get(result.parent.parent)), (13, 3))
    equal(get(elsewhere(result.id)), 113)
    # The last does not want the result of the one before.
    equal(get(chain(add(1, 2), add(10, 20, immutable=True)).apply_async()), 30)


def case_chain_later():
    due = time.time() + 2
    not_before(due, chain(add(1, 2), add(10).set(countdown=2, priority=3)).apply_async())


def case_chain_failure():
    fail = app.signature("fail", kwargs={"message": "the first is broken"})
    result = chain(fail, add(1, immutable=True), add(2, immutable=True)).apply_async()
    # Whoever knows the last one alone is told as well.
    job_error(raised(elsewhere(result.id)), "the first is broken")


def case_link():
    first, second = f"linked-{uuid.uuid4()}", f"linked-{uuid.uuid4()}"
    send("app.tasks.add", (1, 2), link=add(10).set(task_id=first))
    equal(get(elsewhere(first)), 13)
    links = [add(10).set(task_id=f"{first}-a"), add(20).set(task_id=second)]
    result = send("app.tasks.add", (1, 2), link=links)
    equal((get(elsewhere(f"{first}-a")), get(elsewhere(second))), (13, 23))
    get(result)
    ids = {child.id for children in result.children for child in children.children}
    equal(ids, {f"{first}-a", second})


def case_link_error():
    task_id = f"linked-{uuid.uuid4()}"
    link = app.signature("echo", kwargs={"alarm": "it failed"}, immutable=True).set(task_id=task_id)
    job_error(raised(send("fail", kwargs={"message": "no"}, link_error=link)), "no")
    equal(get(elsewhere(task_id)), {"alarm": "it failed"})


def case_group():
    result = group(add(n, n) for n in range(5)).apply_async()
    equal(result.get(timeout=PATIENCE), [0, 2, 4, 6, 8])


def case_chord():
    """Refused loudly: whoever waits for any part of it is told."""
    result = chord([add(1, 1), add(2, 2)], app.signature("echo")).apply_async()
    for part in [*result.parent.results, elsewhere(result.id)]:
        error = raised(part)
        assert isinstance(error, NotImplementedError), repr(error)
        assert "chord" in str(error), str(error)


def case_many():
    results = [send("app.tasks.add", (n, 1)) for n in range(200)]
    equal([get(result) for result in results], list(range(1, 201)))


def case_migration():
    """With python_worker.py on the same list: each task is run, by whichever of the two takes it."""
    counter = "python-worker:add"
    app.backend.client.delete(counter)
    results = []
    for n in range(200):
        results.append(send("app.tasks.add", (n, 1)))
        time.sleep(0.005)
    equal([get(result) for result in results], list(range(1, 201)))
    by_python = int(app.backend.client.get(counter) or 0)
    print(f"of 200 tasks {by_python} were run by Python")


def only_python(number):
    return send("app.tasks.only_python", (number,))


def case_beside_python():
    """With python_worker.py on the same list: none of the tasks that only Python knows is lost."""
    results = []
    for n in range(100):
        results.append((only_python(n), n * 2))
        # A Celery worker drops what it does not know, so this is one that both know.
        results.append((send("app.tasks.add", (n, 1)), n + 1))
    for result, expected in results:
        equal(get(result), expected)


def case_sent_to_wait():
    app.backend.client.set("waiting", send("echo", countdown=PATIENCE * 3).id)


def case_revoked_later():
    """After the worker was restarted with another queue for new tasks."""
    task_id = app.backend.client.get("waiting").decode()
    app.control.revoke(task_id)
    assert isinstance(raised(elsewhere(task_id)), TaskRevokedError)


def case_left_for_python():
    """Without a Python worker: what only Python knows stays in the list, in its order."""
    ids = [only_python(n).id for n in range(14)]
    for n in range(3):
        equal(get(send("echo", kwargs={"n": n})), {"n": n})
    # The oldest is last.
    left = [json.loads(message)["headers"]["id"] for message in app.backend.client.lrange("celery", 0, -1)]
    equal(left[::-1], ids)
    app.backend.client.set("left", json.dumps(ids))


def case_fetched_by_python():
    """With python_worker.py: it runs what was left."""
    for n, task_id in enumerate(json.loads(app.backend.client.get("left"))):
        equal(get(elsewhere(task_id)), n * 2)


def case_chain_to_python():
    """With python_worker.py on the list `python`: it understands what our worker sends on."""
    result = chain(add(1, 2), add(10).set(queue="python"), add(100), add(1000).set(queue="python")).apply_async()
    equal(get(result), 1113)
    task_id = f"linked-{uuid.uuid4()}"
    options = {"task_id": task_id, "queue": "python", "countdown": 1, "expires": 60, "priority": 6}
    send("app.tasks.add", (1, 2), link=add(10, options=options))
    equal(get(elsewhere(task_id)), 13)


CASES = {name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")}
# Those that need python_worker.py too, or belong together.
WITH_PYTHON_WORKER = {
    "migration", "chain_to_python", "beside_python", "left_for_python", "fetched_by_python",
    "sent_to_wait", "revoked_later",
}

if __name__ == "__main__":
    _, URL, *names = sys.argv
    if names == ["list"]:
        print("\n".join(CASES))
        sys.exit()
    if names == ["all"]:
        names = [name for name in CASES if name not in WITH_PYTHON_WORKER]
    for name in names:
        app = new_app()
        CASES[name]()
        print("ok", name, flush=True)
    # At once: results that nobody waited for would talk to Redis in their destructors, too late for Python.
    os._exit(0)
