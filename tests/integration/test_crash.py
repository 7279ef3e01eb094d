"""kill -9 at random moments: nothing acknowledged is lost, nothing is there twice (P1, P2, P3)."""

import os

import crash

KILLS = int(os.environ.get("HEJNAL_KILLS", "6"))


def test_numbered_values_survive_kills():
    crash.numbered(kills=KILLS, seed=1)


def test_redelivery_without_a_time_keeps_its_first_arrival():
    crash.redelivery()
