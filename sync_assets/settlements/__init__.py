"""The subject settlements: from payments and payouts to the books."""
