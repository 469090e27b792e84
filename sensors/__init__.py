"""When we act: deltas and due work."""
