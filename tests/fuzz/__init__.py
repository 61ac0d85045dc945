"""Coverage-guided fuzzing of each parser."""
