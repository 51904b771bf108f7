"""Compiled code for training, on numpy arrays: layers, losses, and the loop over minibatches."""
