"""What comes back and what is given back: two sagas, their plans and their receipts."""
