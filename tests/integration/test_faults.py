"""A failing or full disk (P8): said with the protocol's code, nothing acknowledged that is not kept, reads
and live messages go on, and it recovers without a restart. Faults are injected with libfiu."""

import shutil
import subprocess
import time

import paho.mqtt.client as paho
import pytest

from harness import Server, wait_until

FIU = shutil.which("fiu-run")


class Client:
    """Paho, MQTT 5, that keeps the reason codes of its PUBACKs."""

    def __init__(self, port):
        self.client = paho.Client(protocol=paho.MQTTv5)
        self.heard, self.up = [], False
        self.client.on_message = lambda c, u, m: self.heard.append(m.payload.decode())
        self.client.on_connect = lambda *a: setattr(self, "up", True)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("live/#")
        self.client.loop_start()
        wait_until(lambda: self.up)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def mosquitto_pub(server, value, version="mqttv5"):
    """Whether the message was acknowledged with success, by a client that says so."""
    done = subprocess.run(["mosquitto_pub", "-p", str(server.mqtt_port), "-V", version, "-t", "live/x", "-m", str(value), "-q",
                           "1", "-d"], capture_output=True, text=True, timeout=20)
    lines = [line for line in done.stdout.splitlines() if "PUBACK" in line]
    return bool(lines) and "RC:0)" in lines[0], done.stdout


def fiu(server, command):
    subprocess.run(["fiu-ctrl", "-c", command, str(server.process.pid)], check=True, capture_output=True)


@pytest.mark.skipif(FIU is None, reason="fiu-run is not installed")
@pytest.mark.parametrize("point,errno", [("posix/io/rw/pwrite", "ENOSPC"), ("posix/io/rw/pwritev", "ENOSPC"),
                                         ("posix/io/sync/fdatasync", "EIO")])
def test_a_failing_disk_is_said_and_survived(point, errno):
    import errno as codes
    number = getattr(codes, errno)
    server = Server("--loops", "1", wrapper=["fiu-run", "-x"])
    with server:
        listener = Client(server.mqtt_port)
        acked = [i for i in range(5) if mosquitto_pub(server, i)[0]]
        assert acked == [0, 1, 2, 3, 4]
        fiu(server, f"enable name={point},failinfo={number}")
        if point.endswith("pwritev"):  # LMDB writes runs of pages with pwritev, single ones with pwrite.
            fiu(server, f"enable name=posix/io/rw/pwrite,failinfo={number}")
        for i in range(5, 10):
            ok, said = mosquitto_pub(server, i)
            assert not ok, said
        wait_until(lambda: "9" in listener.heard)  # Live messages go on,
        assert server.stats()["ingest.refused.store"] >= 5  # what was lost is counted,
        stored = [int(v) for _, v in server.points("live/x")["live/x"]]  # reads go on,
        assert set(acked) <= set(stored)
        fiu(server, f"disable name={point}")
        fiu(server, "disable name=posix/io/rw/pwrite")

        def works_again():
            return mosquitto_pub(server, 10)[0]
        wait_until(works_again, every=0.2)
        server.kill()
        server.start()
        stored = [int(v) for _, v in server.points("live/x")["live/x"]]
        assert set(acked) | {10} <= set(stored)
        listener.close()


def test_a_full_disk_stops_acknowledgements_not_the_broker(tmp_path):
    """A file size limit stands in for a full disk: every write beyond it fails."""
    server = Server("--loops", "1", wrapper=["bash", "-c", 'trap "" XFSZ; ulimit -f 2048; exec "$@"', "bash"])
    with server:
        payload = "[" + ",".join("0.123456789" for _ in range(400)) + "]"
        listener = Client(server.mqtt_port)
        refused = 0
        for i in range(2000):
            done = subprocess.run(["mosquitto_pub", "-p", str(server.mqtt_port), "-V", "mqttv5", "-t", "bulk/x", "-s", "-q", "1",
                                   "-d"], input=payload, capture_output=True, text=True)
            if "RC:151" in done.stdout or "RC:0)" not in done.stdout:
                refused += 1
                if refused > 3:
                    break
        assert refused > 3, "the limit was never reached"
        subprocess.run(["mosquitto_pub", "-p", str(server.mqtt_port), "-t", "live/y", "-m", "still here"], check=True)
        wait_until(lambda: "still here" in listener.heard)
        assert server.points("bulk/x/0")["bulk/x/0"]
        listener.close()
