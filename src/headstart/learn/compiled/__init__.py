"""What of learning is compiled: layers, losses, and the loop over minibatches. Plain arrays in, plain arrays out."""
