"""The trial of the wheel beside the releases of its dependencies, and beside other packages."""
