"""The sections of a report, a module each: a function from a study to what is to be said of it."""
