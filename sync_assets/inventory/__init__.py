"""The subject inventory: from stock levels to one explainable number per channel."""
