"""wsplug's tests."""
