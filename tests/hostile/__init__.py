"""What strangers may send, beside ordinary traffic: nobody but themselves may notice."""
