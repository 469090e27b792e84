"""The subject catalog: products, prices and listings, from the ERP to every shop."""
