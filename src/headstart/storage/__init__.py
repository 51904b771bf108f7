"""Where data lies and what still needs it: DVC's remotes, its cache, and the work folders."""
