"""What a stranger knows: Merkle trees, signed notes, proofs, the verifier."""
