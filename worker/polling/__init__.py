"""The poll policies: rules for the time of a task's next poll."""
