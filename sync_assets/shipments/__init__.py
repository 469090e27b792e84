"""The subject shipments: from an accepted order to parcels in customers' hands."""
