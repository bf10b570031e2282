"""What the tests of served models share."""

from memory_store import store
