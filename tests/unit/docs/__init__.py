"""What the documents of this repository keep to."""
