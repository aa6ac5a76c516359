"""What the platform asks of meters: calls, attribute updates, and what they may do."""
