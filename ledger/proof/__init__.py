"""What is made of our record for strangers: checkpoints, bundles, proofs."""
