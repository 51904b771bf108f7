"""Facts of git and DVC: what a revision held, what dvc.lock vouches for, and whether the files at hand are still those."""
