"""Orders: every shop order becomes exactly one sales order in the ERP."""
