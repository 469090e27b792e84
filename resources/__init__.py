"""Where it comes from and goes to: settings, HTTP, clients, the store, and stand-ins."""
