"""Control: the stations of this process by identity, and what may be asked of them."""
