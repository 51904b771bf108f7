"""The compiled part of learning: layers, losses, and the loop over minibatches, on numpy arrays."""
