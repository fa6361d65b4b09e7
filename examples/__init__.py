"""Examples: demonstrations, their learners, and screenshots."""
