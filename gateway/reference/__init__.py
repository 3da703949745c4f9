"""Reference data: regions, named areas, directory, event codes and boundaries, read from files and checked row by row."""
