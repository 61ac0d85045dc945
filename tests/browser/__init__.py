"""Each page in a real browser, used as a person would."""
