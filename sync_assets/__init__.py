"""What we keep in step: catalog, inventory, orders, shipments, settlements."""
