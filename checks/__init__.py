"""Whether it agrees: schemas, agreement between systems, freshness, leftovers."""
