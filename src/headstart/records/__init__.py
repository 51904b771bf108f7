"""Every byte that headstart writes to disk: formats, their writers and their readers, side by side."""
