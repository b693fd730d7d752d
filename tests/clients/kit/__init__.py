"""What the client tests share: daemons, keys, odd trees, raw HTTP."""
