"""The power goes at random calls to the disk: nothing acknowledged is lost, and hejnald starts (P1, P2)."""

import os

import pytest

import powercut

pytestmark = pytest.mark.skipif(not powercut.SHIM.exists(), reason="built with sanitizers")
CUTS = int(os.environ.get("HEJNAL_CUTS", "20"))
EVERY = int(os.environ.get("HEJNAL_CUT_EVERY", "7"))


def test_numbered_values_survive_power_cuts():
    powercut.numbered(cuts=CUTS, seed=1)


@pytest.mark.parametrize("command", ["checkpoint", "seal"])
def test_a_kill_inside_and_a_cut_after_the_next_lose_nothing(command):
    powercut.killed_then_cut(command, every=EVERY)
