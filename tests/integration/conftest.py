import pytest

from harness import Server


@pytest.fixture
def server():
    with Server() as s:
        yield s


@pytest.fixture(scope="module")
def shared_server():
    with Server("--loops", "2") as s:
        yield s
