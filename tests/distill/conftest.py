"""A teacher of five steps, for tests that have none of their own; no test changes it."""

import pytest
from distill.small_teachers import fitted


@pytest.fixture(scope="session")
def teacher():
    return fitted()
