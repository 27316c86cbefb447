"""Processes of their own that send, are killed at the worst moment, or send to one channel at the same time."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from holdfast.model import SystemClock
from holdfast.state import State
from tests.channels import kit
from tests.channels.kit import arrived, message

WORKER = """
import sys
from pathlib import Path
from holdfast.model import SystemClock
from holdfast.state import State
from holdfast.state.outbox import Delivery, Way
from tests.channels import kit

name, url, folder, hold = sys.argv[1:]

class Address:
    api, cloud = url + "/api", name == "jira-cloud"
    def __init__(self): self.url = url

client = kit.WEB[name][1](Address())
client.settles = 0.0
clock = SystemClock()
state = State(Path(folder), clock)
print("ready", flush=True)
if hold == "hold":
    sys.stdin.readline()
delivery = Delivery(state.outbox, state.outbox.leases, clock, lambda _: Way(client))
print(delivery.run(patience=240.0), flush=True)
"""


def worker(name, service, folder, hold=""):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, name, service.url, str(folder), hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("name", ["slack", "pagerduty", "jira-cloud", "servicenow", "webhook"])
def test_a_kill_between_sending_and_noting_does_not_double_the_message(name, tmp_path):
    make, _ = kit.WEB[name]
    with make() as service:
        state = State(tmp_path, SystemClock())
        told = [message("declared", 1), message("updated", 2, title="two")]
        for one in told:
            state.outbox.put(["alerts"], one)
        # The service has done all that the first message asks for: its sender dies before it knows.
        done, real = threading.Event(), service.answer

        def deadly(asked):
            answered = real(asked)
            if len(arrived(service)) == 1 and not done.is_set():
                done.set()
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
            return answered

        service.answer = deadly
        with worker(name, service, tmp_path) as child:
            assert child.wait() == -signal.SIGKILL
        assert done.is_set()
        assert len(arrived(service)) == 1
        first, second = state.outbox.lines()
        assert (first.standing, first.again, second.attempts) == ("waiting", True, 0)
        with worker(name, service, tmp_path) as other:
            assert other.communicate()[0].split() == ["ready", "2"]
        assert arrived(service) == ([one.headline for one in told] if name == "pagerduty" else [one.key for one in told])
        assert [line.standing for line in state.outbox.lines()] == ["sent", "sent"]


def test_several_processes_send_to_one_channel_without_doubling_or_mixing_up(tmp_path):
    make, _ = kit.WEB["webhook"]
    with make() as service:
        state = State(tmp_path, SystemClock())
        for number in range(12):
            for incident in ("I", "J"):
                state.outbox.put(["alerts"], message("updated", incident=incident, key=f"{incident}.{number:02}"))
        children = [worker("webhook", service, tmp_path, "hold") for _ in range(3)]
        try:
            for child in children:
                assert child.stdout.readline() == "ready\n"
            for child in children:
                child.stdin.write("go\n")
                child.stdin.flush()
            taken = [int(child.communicate()[0]) for child in children]
        finally:
            for child in children:
                child.kill()
                child.wait()
        assert sum(taken) == 24
        keys = [asked.headers["webhook-id"] for asked in service.asked]
        assert len(keys) == len(set(keys)) == 24
        for incident in ("I", "J"):
            assert [key for key in keys if key.startswith(incident)] == [f"{incident}.{number:02}" for number in range(12)]
