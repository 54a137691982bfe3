import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


@pytest.fixture(scope="session")
def program():
    """The program that SHUFFLE_VIT_PROGRAM names."""
    return os.environ.get("SHUFFLE_VIT_PROGRAM") or pytest.skip("SHUFFLE_VIT_PROGRAM names no program")
