"""What every package may use: errors, names, time, files, masking, safe text."""
